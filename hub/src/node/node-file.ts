// `keys/node.json`: which node this data folder is, and what it has seen of the hub's keys in the store (spec/platform-secrets.md, "Keys in the
// store"). It has no secret; the node's own key is sealed beside it.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import * as os from 'node:os';
import { join } from 'node:path';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { replaceFile } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { nodeId, nodeName } from './key-document.ts';

const knownKeys = z.strictObject({
  hub: z.string().regex(/^[0-9a-f]{32}$/),
  /** The highest version of the document that this node has used. */
  version: z.int().min(1),
  kek: z.int().min(1),
  /** Of that KEK: base64url. */
  publicKey: z.string().max(64),
});

const schema = z.strictObject({
  type: z.literal('edgekeep-node/v1'),
  id: nodeId,
  name: nodeName,
  /** Null while the hub's keys are in this folder. */
  keys: knownKeys.nullable(),
});

/** What a node remembers of the key document. */
export type KnownKeys = z.infer<typeof knownKeys>;
export type NodeFile = z.infer<typeof schema>;

const pathOf = (folder: string) => join(folder, 'keys', 'node.json');

/** Undefined for a folder that was no node yet. Throws `settings-invalid`. */
export async function readNodeFile(folder: string): Promise<NodeFile | undefined> {
  const path = pathOf(folder);
  const bytes = await orIfMissing(readFile(path), undefined);
  if (bytes === undefined) return undefined;
  try {
    return parseJson(bytes, schema, path);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('settings-invalid', cause.message, { cause });
  }
}

export async function writeNodeFile(folder: string, file: NodeFile): Promise<void> {
  await replaceFile(pathOf(folder), `${JSON.stringify(file, null, 2)}\n`);
}

export function newNode(name: string): NodeFile {
  return { type: 'edgekeep-node/v1', id: randomBytes(16).toString('hex'), name, keys: null };
}

/** The name of the machine, as far as it can be one of a node. */
export function machineName(): string {
  const name = os
    .hostname()
    .toLowerCase()
    .replaceAll(/[^a-z0-9.-]/g, '-')
    .slice(0, 63)
    .replaceAll(/^[.-]+|[.-]+$/g, '');
  return name === '' ? 'node' : name;
}
