// Model keys at rest: wrapped under the platform key, bound to the manifest that the publisher signed. Bound to name and version only, a key
// would be released under another manifest of the same version, and so under another release policy.
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { type EncryptionContext, unwrapSecret, wrapSecret } from '../secrets/wrap.ts';
import { isOlder, type WrappedSecrets } from '../secrets/wrapped-secrets.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { ModelReleaseRow } from '../store/tables/model.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';

/** Bytes of a model key. */
export const modelKeyLength = 32;

export type ModelKeyOwner = Pick<ModelReleaseRow, 'name' | 'version' | 'manifest_digest'>;

/** The data that a release's key is bound to. */
const contextOf = ({ name, version, manifest_digest }: ModelKeyOwner): EncryptionContext => ({
  kind: 'model key',
  names: [name, version, manifest_digest],
});

/** As it was before the manifest belonged to it: for rows of that time. No key that is wrapped now opens under it. */
const formerContextOf = ({ name, version }: ModelKeyOwner): EncryptionContext => ({
  kind: 'model key',
  names: [name, version],
});

export function wrapModelKey(platformKey: PlatformKey, modelKey: Uint8Array, owner: ModelKeyOwner): Uint8Array {
  return wrapSecret(platformKey, modelKey, contextOf(owner));
}

/** The model key; the caller zeroes it after use. */
export function unwrapModelKey(platformKey: PlatformKey, wrapped: Uint8Array, owner: ModelKeyOwner): Uint8Array {
  const key = opened(platformKey, wrapped, owner);
  if (key.length === modelKeyLength) return key;
  key.fill(0);
  throw new HubError('store-failed', `the stored key of ${owner.name} ${owner.version} has the wrong length`);
}

function opened(platformKey: PlatformKey, wrapped: Uint8Array, owner: ModelKeyOwner): Uint8Array {
  try {
    return unwrapSecret(platformKey, wrapped, contextOf(owner));
  } catch (error) {
    if (!(error instanceof HubError && error.code === 'store-failed')) throw error;
    return unwrapSecret(platformKey, wrapped, formerContextOf(owner));
  }
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
      .select(['name', 'version', 'manifest_digest', 'wrapped_key'])
      .where(isOlder('wrapped_key', platformKey.newest))
      .limit(max)
      .execute();
    for (const row of rows) {
      await trx
        .updateTable('model_release')
        .set({ wrapped_key: rewrapped(platformKey, row) })
        .where('name', '=', row.name)
        .where('version', '=', row.version)
        .execute();
    }
    return rows.length;
  },
};

function rewrapped(platformKey: PlatformKey, row: ModelKeyOwner & Pick<ModelReleaseRow, 'wrapped_key'>): Uint8Array {
  const key = opened(platformKey, row.wrapped_key, row);
  try {
    return wrapSecret(platformKey, key, contextOf(row));
  } finally {
    key.fill(0);
  }
}
