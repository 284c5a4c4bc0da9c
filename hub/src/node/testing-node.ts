// For tests: data folders of nodes with sealed keys, over one store.
import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import {
  joinCodeId,
  joinCodeKey,
  joinCodePublicKey,
  joinSecretLength,
  signJoinRequest,
} from '@edgekeep/core/authority/join-code';
import { signerFromKey } from '@edgekeep/core/signer';
import { toBase64url } from '@edgekeep/core/bytes';
import type { KeyStore } from '../secrets/key-store.ts';
import { openSealedKeys, readSealedFile, writeSealedKeys } from '../secrets/sealed-keys.ts';
import type { Database } from '../store/database.ts';
import { lockFolder } from '../store/folder-lock.ts';
import type { Joining } from './join.ts';
import { newNode, type NodeFile, readNodeFile, writeNodeFile } from './node-file.ts';
import type { NodeOrderDependencies } from './orders.ts';
import { newNodeKey, nodeKeyName, SharedKeys } from './shared-keys.ts';

export interface TestNode {
  readonly folder: string;
  readonly file: NodeFile;
  readonly keys: SharedKeys;
  readonly orders: NodeOrderDependencies;
  /** Opens the same folder again, as a later process does. */
  readonly again: () => Promise<SharedKeys>;
  [Symbol.asyncDispose](): Promise<void>;
}

const unlocking = randomBytes(32);

/** A new folder with these keys, sealed. */
export async function sealedFolder(entries: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-node-'));
  await mkdir(join(folder, 'keys'));
  lockFolder(folder)[Symbol.dispose]();
  const sealed = new Map(Object.entries(entries).map(([name, text]) => [name, Buffer.from(text)]));
  await writeSealedKeys(join(folder, 'keys'), sealed, [{ kind: 'program', secret: Uint8Array.from(unlocking) }]);
  return folder;
}

export async function openLocal(folder: string): Promise<KeyStore> {
  const keys = join(folder, 'keys');
  const file = await readSealedFile(keys);
  if (file === undefined) throw new TypeError('not sealed');
  return openSealedKeys(keys, file, { kind: 'program', secret: Uint8Array.from(unlocking) });
}

async function openNode(database: Database, folder: string, file: NodeFile): Promise<TestNode> {
  await writeNodeFile(folder, file);
  const clock = () => Date.now();
  const again = async () => {
    const known = (await readNodeFile(folder)) ?? file;
    const keys = await SharedKeys.open(folder, await openLocal(folder), { file: known, db: database.read, clock });
    keys.attach(database);
    return keys;
  };
  const keys = await again();
  const orders = { database, keys, clock, self: file.id };
  return {
    folder,
    file,
    keys,
    orders,
    again,
    async [Symbol.asyncDispose]() {
      await keys[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    },
  };
}

/** The first node of a store: its keys are moved in. */
export async function firstNode(database: Database, entries: Readonly<Record<string, string>>): Promise<TestNode> {
  const folder = await sealedFolder(entries);
  const file = newNode('one');
  const row = { id: file.id, name: file.name, version: '', addresses: '', joined_at: 0, seen_at: null, claim: null };
  const counts = { place: null, log_size: 0, connections: 0, keys_version: 0, removed_at: null };
  await database.writeAsHub((trx) =>
    trx
      .insertInto('node')
      .values({ ...row, ...counts })
      .execute(),
  );
  const node = await openNode(database, folder, file);
  await node.keys.moveIn();
  return node;
}

/** A code with a key pair. */
export function testCode() {
  const code = { secret: new Uint8Array(randomBytes(joinSecretLength)), rootSha256: new Uint8Array(32) };
  const publicKey = joinCodePublicKey(code);
  return { code, id: joinCodeId(publicKey), publicKey: toBase64url(publicKey) };
}

/** What a new machine sends, over a connection with this binding. */
export function joiningWith(
  { code, id }: ReturnType<typeof testCode>,
  pem: Uint8Array,
  binding = new Uint8Array(32),
): Joining {
  const nodeKey = encodeSpki(signerFromKey(createPrivateKey(Buffer.from(pem))).publicKey);
  const request = { code: id, binding, root: '0'.repeat(64), nodeKey };
  return { ...request, signature: signJoinRequest(request, joinCodeKey(code)) };
}

/** A folder for what `joinNode` answered. */
export async function joinedNode(
  database: Database,
  { id, name, keys }: { readonly id: string; readonly name: string; readonly keys: NodeFile['keys'] },
  pem: Uint8Array,
): Promise<TestNode> {
  const folder = await sealedFolder({ [nodeKeyName]: Buffer.from(pem).toString() });
  return openNode(database, folder, { type: 'edgekeep-node/v1', id, name, keys });
}

export { newNodeKey };
