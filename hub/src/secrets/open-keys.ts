// The key store of a data folder as the command line opens it: plain, or sealed with the secret that the operator offers.
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { equalBytes } from '@edgekeep/core/bytes';
import { HubError } from '../common/error.ts';
import type { KeyStore } from './key-store.ts';
import { plainKeyNames, plainKeys, startingKeys } from './plain-keys.ts';
import { openSealedKeys, readSealedFile, type SealedKeys } from './sealed-keys.ts';
import { gatherOffer, type UnlockSources } from './sources.ts';
import type { Offer } from './unlock.ts';

/** Opens the keys of a hub's data folder. Throws `keys-locked`, `unlock-refused` or `sealed-keys-invalid`. */
export async function openKeyStore(
  dataFolder: string,
  sources: UnlockSources,
  gather: typeof gatherOffer = gatherOffer,
): Promise<KeyStore> {
  const folder = join(dataFolder, 'keys');
  const file = await readSealedFile(folder);
  if (file === undefined) return startingKeys(folder);
  return openSealed(folder, await gather(file, sources));
}

/** Opens sealed keys, and removes what a crash during the sealing of plain keys left. */
export async function openSealed(folder: string, offer: Offer): Promise<SealedKeys> {
  const file = await readSealedFile(folder);
  if (file === undefined) throw new HubError('sealed-keys-invalid', `${folder} holds no sealed keys`);
  const keys = await openSealedKeys(folder, file, offer);
  if (offer.kind === 'program') offer.secret.fill(0);
  await removePlainCopies(folder, keys);
  return keys;
}

/** Removes plain key files that the sealed keys contain too; any other one is an error. */
async function removePlainCopies(folder: string, keys: KeyStore): Promise<void> {
  const plain = plainKeys(folder);
  for (const name of await plainKeyNames(folder)) {
    const [clear, sealed] = [await plain.read(name), await keys.read(name)];
    const same = clear !== undefined && sealed !== undefined && equalBytes(clear, sealed);
    clear?.fill(0);
    sealed?.fill(0);
    if (!same)
      throw new HubError('sealed-keys-invalid', `${join(folder, name)} is not encrypted, although the keys are sealed`);
    await rm(join(folder, name));
  }
}
