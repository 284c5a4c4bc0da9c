// The secrets that sign what webhooks get: made by the hub, wrapped under the platform key, shown once. At most two sign at a time: the newest, and
// the one before it until its overlap ends.
import { randomBytes, randomUUID } from 'node:crypto';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import { type EncryptionContext, rewrapSecret, unwrapSecret, wrapSecret } from '../secrets/wrap.ts';
import { isOlder, type WrappedSecrets } from '../secrets/wrapped-secrets.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { WebhookSecretRow } from '../store/tables/webhook.ts';
import { getWebhook, subjectOf } from './destinations.ts';
import { publicKeyText, secretText } from './signature.ts';

/** Of HMAC-SHA256 and of the seed of an ed25519 key alike; the specification asks for 24 at least. */
const SECRET_BYTES = 32;

export interface RolledSecret {
  /** For HMAC. */
  readonly secret: string | null;
  /** For ed25519. */
  readonly publicKey: string | null;
  readonly olderValidUntil: number;
}

/** Makes a new secret, and the first one of a new webhook. The newest older one signs until the overlap ends; all others end now. */
export async function rollWebhookSecret(
  database: Database,
  platformKey: PlatformKey,
  order: { readonly name: string; readonly overlapSeconds: number; readonly actor: string; readonly nowMs: number },
): Promise<RolledSecret> {
  const { name, overlapSeconds, actor, nowMs } = order;
  const secret = randomBytes(SECRET_BYTES);
  const olderValidUntil = nowMs + overlapSeconds * 1_000;
  try {
    const { signing } = await database.write(async (trx) => {
      const webhook = await getWebhook(trx, name);
      const secrets = trx.deleteFrom('webhook_secret').where('webhook', '=', name);
      await secrets.where('expires_at', 'is not', null).execute();
      const older = trx.updateTable('webhook_secret').set({ expires_at: olderValidUntil });
      await older.where('webhook', '=', name).execute();
      const id = randomUUID();
      const wrapped = wrapSecret(platformKey, secret, contextOf(name, id));
      const row = { id, webhook: name, wrapped_secret: wrapped, created_at: nowMs, expires_at: null };
      await trx.insertInto('webhook_secret').values(row).execute();
      const data = { olderValidUntil };
      await appendEntry(trx, { at: nowMs, kind: 'webhook-secret-rolled', actor, subject: subjectOf(name), data });
      return webhook;
    });
    return signing === 'ed25519'
      ? { secret: null, publicKey: publicKeyText(secret), olderValidUntil }
      : { secret: secretText(secret), publicKey: null, olderValidUntil };
  } finally {
    secret.fill(0);
  }
}

/** Those that sign now, the newest first; the caller zeroes them. */
export async function signingSecrets(
  db: Kysely<Tables>,
  platformKey: PlatformKey,
  { name, nowMs }: { readonly name: string; readonly nowMs: number },
): Promise<readonly Uint8Array[]> {
  const rows = await validSecrets(db, { name, nowMs });
  return rows.map((row) => unwrapSecret(platformKey, row.wrapped_secret, contextOf(name, row.id)));
}

/** The same as they are stored. */
export async function validSecrets(
  db: Kysely<Tables>,
  { name, nowMs }: { readonly name: string; readonly nowMs: number },
): Promise<readonly WebhookSecretRow[]> {
  const rows = await db
    .selectFrom('webhook_secret')
    .selectAll()
    .where('webhook', '=', name)
    .orderBy('created_at', 'desc')
    .execute();
  return rows.filter((row) => row.expires_at === null || row.expires_at > nowMs);
}

const contextOf = (webhook: string, id: string): EncryptionContext => ({
  kind: 'webhook secret',
  names: [webhook, id],
});

/** The secrets of all webhooks. */
export const webhookSecrets: WrappedSecrets<Kysely<Tables>, WriteTransaction> = {
  async countOlder(db, newest) {
    const { count } = await db
      .selectFrom('webhook_secret')
      .select((q) => q.fn.countAll<number>().as('count'))
      .where(isOlder('wrapped_secret', newest))
      .executeTakeFirstOrThrow();
    return count;
  },
  async rewrapOlder(trx, platformKey, max) {
    const rows = await trx
      .selectFrom('webhook_secret')
      .select(['id', 'webhook', 'wrapped_secret'])
      .where(isOlder('wrapped_secret', platformKey.newest))
      .limit(max)
      .execute();
    for (const { id, webhook, wrapped_secret: old } of rows) {
      await trx
        .updateTable('webhook_secret')
        .set({ wrapped_secret: rewrapSecret(platformKey, old, contextOf(webhook, id)) })
        .where('id', '=', id)
        .execute();
    }
    return rows.length;
  },
};
