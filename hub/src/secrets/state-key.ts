// The key for the codes of entries about the store's own state (docs/design/security-state.md). A hub from before there was one gets it at its first
// start; a hub that had one and lost it must not get another, under which its own entries look forged.
import { randomBytes } from 'node:crypto';
import { HubError } from '../common/error.ts';
import type { KeyStore } from './key-store.ts';

export const stateKeyName = 'state.key';
export const stateKeyLength = 32;

/** Undefined when there is none in this store of keys. Throws `settings-invalid` for one of another length. */
export async function readStateKey(store: KeyStore): Promise<Uint8Array | undefined> {
  const known = await store.read(stateKeyName);
  if (known === undefined || known.length === stateKeyLength) return known;
  throw new HubError('settings-invalid', `${stateKeyName}: expected ${stateKeyLength} bytes, found ${known.length}`);
}

/**
 * Makes one where the hub's store has no entry under any, which `hasEntries` says. Throws `settings-invalid` where it has, and writes nothing.
 */
export async function needStateKey(
  store: KeyStore,
  folder: string,
  hasEntries: () => Promise<boolean>,
): Promise<Uint8Array> {
  const known = await readStateKey(store);
  if (known !== undefined) return known;
  if (await hasEntries()) {
    const message = `${stateKeyName} is missing among the keys of ${folder}, and the log has entries under it: copy it back, or restore the whole backup that has these keys (\`edgekeep hub restore\`); without it nobody can tell the hub's own entries from forged ones`;
    throw new HubError('settings-invalid', message);
  }
  const made = randomBytes(stateKeyLength);
  await store.add(stateKeyName, made);
  return made;
}
