// The hub's keys as plain files, readable by its user only: for demonstrations and tests. A copy of the folder contains all of them.
import { createPrivateKey } from 'node:crypto';
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { HubError } from '../common/error.ts';
import { type KeyStore, keyNamePattern } from './key-store.ts';
import { replaceFile, syncFolder } from '@edgekeep/host/durable-file';

/** Certificates are in the same folder; they are public. */
const publicNames = new Set(['root.pem', 'issuing.pem']);

/** `folder` is the `keys` folder of a hub and must exist. */
export function plainKeys(folder: string): KeyStore {
  return {
    protection: 'plain',
    names: () => plainKeyNames(folder),
    read: (name) => readPlainKey(folder, name),
    async add(name, secret) {
      if (!keyNamePattern.test(name)) throw new TypeError(`${name} is not the name of a key`);
      if ((await readPlainKey(folder, name)) !== undefined) {
        throw new HubError('conflict', `${join(folder, name)} exists: a key is never overwritten`);
      }
      // In one step: half a key of a hub that was killed would keep it from starting.
      await replaceFile(join(folder, name), secret);
    },
    async remove(name) {
      await rm(join(folder, name), { force: true });
      await syncFolder(folder);
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
}

/** The keys of a hub that starts: as `plainKeys`, and a file that lost its content is named. */
export function startingKeys(folder: string): KeyStore {
  const keys = plainKeys(folder);
  const read = async (name: string) => {
    const bytes = await keys.read(name);
    if (bytes !== undefined && name.endsWith('.pem')) assertKey(join(folder, name), bytes);
    return bytes;
  };
  return { ...keys, read };
}

/** Names of the private keys in the folder that are not encrypted. */
export async function plainKeyNames(folder: string): Promise<readonly string[]> {
  const names = await orIfMissing(readdir(folder), []);
  return names.filter((name) => keyNamePattern.test(name) && !publicNames.has(name)).toSorted();
}

async function readPlainKey(folder: string, name: string): Promise<Uint8Array | undefined> {
  if (!keyNamePattern.test(name)) throw new TypeError(`${name} is not the name of a key`);
  const path = join(folder, name);
  try {
    return await readFile(path);
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') return undefined;
    throw new HubError('settings-invalid', `${path} cannot be read`, { cause });
  }
}

// Here the file is known; the users of the key know its purpose alone.
function assertKey(path: string, pem: Uint8Array): void {
  try {
    createPrivateKey(Buffer.from(pem));
  } catch (cause) {
    const what = pem.every((byte) => byte === 0) ? 'is empty' : 'is not a private key';
    throw new HubError('settings-invalid', `${path} ${what}: put it back from a backup (docs/backup.md)`, { cause });
  }
}
