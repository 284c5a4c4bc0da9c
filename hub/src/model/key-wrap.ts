// Model keys at rest: wrapped under the platform key, bound to the model's name and version.
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { type EncryptionContext, rewrapSecret, unwrapSecret, wrapSecret } from '../secrets/wrap.ts';
import { isOlder, type WrappedSecrets } from '../secrets/wrapped-secrets.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';

/** Bytes of a model key. */
export const modelKeyLength = 32;

/** The data that a release's key is bound to. */
const modelKeyContext = (name: string, version: string): EncryptionContext => ({
  kind: 'model key',
  names: [name, version],
});

export function wrapModelKey(
  platformKey: PlatformKey,
  modelKey: Uint8Array,
  name: string,
  version: string,
): Uint8Array {
  return wrapSecret(platformKey, modelKey, modelKeyContext(name, version));
}

/** The model key; the caller zeroes it after use. */
export function unwrapModelKey(
  platformKey: PlatformKey,
  wrapped: Uint8Array,
  name: string,
  version: string,
): Uint8Array {
  const key = unwrapSecret(platformKey, wrapped, modelKeyContext(name, version));
  if (key.length === modelKeyLength) return key;
  key.fill(0);
  throw new HubError('store-failed', `the stored key of ${name} ${version} has the wrong length`);
}

/** The keys of all releases. */
export const modelKeys: WrappedSecrets<Kysely<Tables>, WriteTransaction> = {
  async countOlder(db, newest) {
    const { count } = await db
      .selectFrom('model_release')
      .select((q) => q.fn.countAll<number>().as('count'))
      .where(isOlder('wrapped_key', newest))
      .executeTakeFirstOrThrow();
    return count;
  },
  async rewrapOlder(trx, platformKey, max) {
    const rows = await trx
      .selectFrom('model_release')
      .select(['name', 'version', 'wrapped_key'])
      .where(isOlder('wrapped_key', platformKey.newest))
      .limit(max)
      .execute();
    for (const { name, version, wrapped_key: old } of rows) {
      await trx
        .updateTable('model_release')
        .set({ wrapped_key: rewrapSecret(platformKey, old, modelKeyContext(name, version)) })
        .where('name', '=', name)
        .where('version', '=', version)
        .execute();
    }
    return rows.length;
  },
};
