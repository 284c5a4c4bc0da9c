// `edgekeep hub rekey`, while the hub is stopped: other unlockers for the same keys, or the first ones for a plain hub.
import { join } from 'node:path';
import { HubError } from '../common/error.ts';
import { openSealed } from './open-keys.ts';
import { plainKeyNames, plainKeys } from './plain-keys.ts';
import type { KeyStore } from './key-store.ts';
import { readSealedFile, writeSealedKeys } from './sealed-keys.ts';
import type { NewUnlocker, Offer } from './unlock.ts';

export interface RekeyOrder {
  readonly added: readonly NewUnlocker[];
  /** Ids of unlockers. */
  readonly removed: ReadonlySet<string>;
}

/** Changes the unlockers and returns the ids of all present ones. `offer` opens the keys that are sealed. */
export async function rekey(
  dataFolder: string,
  order: RekeyOrder,
  offer: Offer | undefined,
): Promise<readonly string[]> {
  const folder = join(dataFolder, 'keys');
  const file = await readSealedFile(folder);
  if (file === undefined) await sealPlainKeys(folder, order);
  else {
    const known = file.unlockers.map(({ id }) => id);
    const unknown = [...order.removed].filter((id) => !known.includes(id));
    if (unknown.length > 0)
      throw new HubError('request-invalid', `no ${unknown.join(', ')}: there are ${known.join(', ')}`);
    if (order.added.length > 0 || order.removed.size > 0) {
      if (offer === undefined)
        throw new HubError('keys-locked', 'the keys are sealed and nothing was given to open them');
      await using keys = await openSealed(folder, offer);
      // If no unlocker stays, the key-encryption key is made again: then an old copy of the file opens nothing in the new one.
      if (known.every((id) => order.removed.has(id))) await sealAgain(folder, keys, order.added);
      else await keys.changeUnlockers(order.removed, order.added);
    }
  }
  return (await readSealedFile(folder))?.unlockers.map(({ id }) => id) ?? [];
}

async function sealPlainKeys(folder: string, { added, removed }: RekeyOrder): Promise<void> {
  if (removed.size > 0) throw new HubError('request-invalid', 'the keys are plain: there is no unlocker to remove');
  if (added.length === 0) return;
  if ((await plainKeyNames(folder)).length === 0) throw new HubError('settings-invalid', `${folder} holds no keys`);
  const store = plainKeys(folder);
  await sealAgain(folder, store, added);
  // The sealed file is on disk. If a crash leaves plain files here, the next opening removes them.
  for (const name of await store.names()) await store.remove(name);
}

async function sealAgain(folder: string, keys: KeyStore, added: readonly NewUnlocker[]): Promise<void> {
  if (added.length === 0) throw new HubError('request-invalid', 'no unlocker would be left: add one');
  const entries = new Map<string, Uint8Array>();
  for (const name of await keys.names()) {
    const secret = await keys.read(name);
    if (secret !== undefined) entries.set(name, secret);
  }
  try {
    await writeSealedKeys(folder, entries, added);
  } finally {
    for (const secret of entries.values()) secret.fill(0);
  }
}
