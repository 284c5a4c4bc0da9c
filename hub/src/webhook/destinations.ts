// Where alerts are sent (spec/webhooks.md). Two people add a webhook, because it decides where information goes, and remove one, because its
// receiver learns nothing any more.
import { sha256Hex } from '@edgekeep/core/digest';
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { type WebhookSigning, type WebhookTerms, webhookTerms } from '@edgekeep/wire/api/webhook';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { WebhookRow } from '../store/tables/webhook.ts';

/** Each alert is a row for each of them. */
const WEBHOOKS_MAX = 100;

interface WebhookOrder {
  readonly name: string;
  readonly actor: string;
  readonly nowMs: number;
}

export interface NewWebhook extends WebhookOrder, WebhookTerms {
  readonly url: string;
  readonly signing: WebhookSigning;
  readonly trustedPem: string | null;
}

/** It gets nothing before it has a secret. Throws `conflict`, and `request-invalid` for roots that are no certificates. */
export async function addWebhook(database: Database, order: NewWebhook): Promise<WebhookRow> {
  const { name, url, signing, minSeverity, kinds, trustedPem, actor, nowMs } = order;
  if (trustedPem !== null) assertCertificate(trustedPem);
  return database.write(async (trx) => {
    if ((await findWebhook(trx, name)) !== undefined) throw new HubError('conflict', `there is a webhook ${name}`);
    if ((await listWebhooks(trx)).length >= WEBHOOKS_MAX)
      throw new HubError('conflict', `limit of webhooks reached (${WEBHOOKS_MAX})`);
    const terms: WebhookTerms = { minSeverity, kinds };
    // The path may be a secret of the receiver, and people read the log.
    const named = { server: serverOf(url), urlSha256: sha256Hex(url) };
    const data = { ...named, signing, minSeverity, kinds, ownRoots: trustedPem !== null };
    const index = await appendEntry(trx, { at: nowMs, kind: 'webhook-added', actor, subject: subjectOf(name), data });
    const row: WebhookRow = {
      name,
      url,
      signing,
      terms: JSON.stringify(terms),
      trusted_pem: trustedPem,
      from_index: index,
      created_at: nowMs,
      created_by: actor,
      disabled_reason: null,
    };
    await trx.insertInto('webhook').values(row).execute();
    return row;
  });
}

function assertCertificate(pem: string): void {
  try {
    assert.ok(new X509Certificate(pem).raw.length > 0);
  } catch (cause) {
    throw new HubError('request-invalid', '`trustedPem` is no certificate in PEM', { cause });
  }
}

/** With its secrets, and with what waits for it. */
export async function removeWebhook(database: Database, { name, actor, nowMs }: WebhookOrder): Promise<void> {
  await database.write(async (trx) => {
    const row = await getWebhook(trx, name);
    const data = { server: serverOf(row.url) };
    await appendEntry(trx, { at: nowMs, kind: 'webhook-removed', actor, subject: subjectOf(name), data });
    await trx.deleteFrom('webhook_delivery').where('webhook', '=', name).execute();
    await trx.deleteFrom('webhook_secret').where('webhook', '=', name).execute();
    await trx.deleteFrom('webhook').where('name', '=', name).execute();
  });
}

/** The receiver answered that it wants nothing any more (410). */
export async function disableWebhook(
  trx: WriteTransaction,
  { name, reason, nowMs }: { name: string; reason: string; nowMs: number },
): Promise<void> {
  const row = await findWebhook(trx, name);
  if (row === undefined || row.disabled_reason !== null) return;
  const event = { at: nowMs, kind: 'webhook-disabled', actor: 'hub', subject: subjectOf(name), data: { reason } };
  await appendEntry(trx, event);
  await trx.updateTable('webhook').set({ disabled_reason: reason }).where('name', '=', name).execute();
}

export async function enableWebhook(database: Database, { name, actor, nowMs }: WebhookOrder): Promise<WebhookRow> {
  return database.write(async (trx) => {
    const row = await getWebhook(trx, name);
    if (row.disabled_reason === null) return row;
    const data = { was: row.disabled_reason };
    await appendEntry(trx, { at: nowMs, kind: 'webhook-enabled', actor, subject: subjectOf(name), data });
    await trx.updateTable('webhook').set({ disabled_reason: null }).where('name', '=', name).execute();
    return { ...row, disabled_reason: null };
  });
}

export async function listWebhooks(db: Kysely<Tables>): Promise<readonly WebhookRow[]> {
  return db.selectFrom('webhook').selectAll().orderBy('name').execute();
}

async function findWebhook(db: Kysely<Tables>, name: string): Promise<WebhookRow | undefined> {
  return db.selectFrom('webhook').selectAll().where('name', '=', name).executeTakeFirst();
}

/** The webhook, or `not-found`. */
export async function getWebhook(db: Kysely<Tables>, name: string): Promise<WebhookRow> {
  const row = await findWebhook(db, name);
  if (row !== undefined) return row;
  throw new HubError('not-found', `no webhook ${name}: \`edgekeep webhook list\` shows all`);
}

export function termsOf({ terms }: Pick<WebhookRow, 'terms'>): WebhookTerms {
  return webhookTerms.parse(JSON.parse(terms));
}

/** Scheme, host and port. */
export function serverOf(url: string): string {
  const { text, path } = parseWebAddress(url);
  return text.slice(0, text.length - path.length);
}

export function subjectOf(name: string): string {
  return `webhook:${name}`;
}
