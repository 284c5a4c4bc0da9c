// Opens the hub's secrets: the key store that an unlocker opened, and the keys in it.
import type { Subject } from '../common/subject.ts';
import { type HubKeys, loadHubKeys } from './hub-keys.ts';
import type { KeyStore } from './key-store.ts';

export interface Secrets extends Subject {
  readonly keys: HubKeys;
  readonly keyStore: KeyStore;
}

/** Takes over `keyStore`, also when it throws. `hasEntries`: as for `loadHubKeys`. */
export async function openSecrets(
  folder: string,
  keyStore: KeyStore,
  hasEntries: () => Promise<boolean>,
): Promise<Secrets> {
  await using opened = new AsyncDisposableStack();
  opened.use(keyStore);
  const keys = await loadHubKeys(folder, keyStore, hasEntries);
  opened.use(keys.platformKey);
  const open = opened.move();
  return { keys, keyStore, [Symbol.asyncDispose]: () => open.disposeAsync() };
}
