// Model keys at rest: wrapped under the platform key, bound to the model's name and version.
import { HubError } from '../error.ts';
import { unwrapSecret, wrapSecret } from '../platform-wrap.ts';

/** Bytes of a model key and of the platform key. */
export const modelKeyLength = 32;

const placeOf = (name: string, version: string) => ({ kind: 'model key', names: [name, version] });

export function wrapModelKey(platformKey: Uint8Array, modelKey: Uint8Array, name: string, version: string): Uint8Array {
  return wrapSecret(platformKey, modelKey, placeOf(name, version));
}

/** The model key; the caller zeroes it after use. */
export function unwrapModelKey(
  platformKey: Uint8Array,
  wrapped: Uint8Array,
  name: string,
  version: string,
): Uint8Array {
  const key = unwrapSecret(platformKey, wrapped, placeOf(name, version));
  if (key.length === modelKeyLength) return key;
  key.fill(0);
  throw new HubError('store-failed', `the stored key of ${name} ${version} has the wrong length`);
}
