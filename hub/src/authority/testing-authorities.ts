// For tests: the authorities of a new hub, with keys as plain files.
import { join } from 'node:path';
import { createHubKeys } from '../secrets/hub-keys.ts';
import { plainKeys } from '../secrets/plain-keys.ts';
import type { TestStore } from '../store/testing-store.ts';
import { Authorities } from './authorities.ts';

/** Made at `nowMs`. */
export async function openTestAuthorities({ database, folder }: TestStore, nowMs: number): Promise<Authorities> {
  const rootFolder = join(folder, 'root');
  await createHubKeys(folder, {
    rootFolder,
    unlockers: [],
    trustDomain: 'edgekeep.local',
    nowSeconds: Math.floor(nowMs / 1_000),
  });
  return Authorities.open(folder, { database, keyStore: plainKeys(join(folder, 'keys')), clock: () => nowMs });
}
