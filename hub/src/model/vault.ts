// Model keys at rest: wrapped under the platform key, bound to the model's name and version.
import { HubError } from '../error.ts';
import { type Place, unwrapSecret, wrapSecret } from '../secrets/wrap.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';

/** Bytes of a model key. */
export const modelKeyLength = 32;

/** The data that a release's key is bound to. */
export const modelKeyPlace = (name: string, version: string): Place => ({ kind: 'model key', names: [name, version] });

export function wrapModelKey(
  platformKey: PlatformKey,
  modelKey: Uint8Array,
  name: string,
  version: string,
): Uint8Array {
  return wrapSecret(platformKey, modelKey, modelKeyPlace(name, version));
}

/** The model key; the caller zeroes it after use. */
export function unwrapModelKey(
  platformKey: PlatformKey,
  wrapped: Uint8Array,
  name: string,
  version: string,
): Uint8Array {
  const key = unwrapSecret(platformKey, wrapped, modelKeyPlace(name, version));
  if (key.length === modelKeyLength) return key;
  key.fill(0);
  throw new HubError('store-failed', `the stored key of ${name} ${version} has the wrong length`);
}
