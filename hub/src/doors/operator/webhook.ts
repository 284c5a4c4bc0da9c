// Operator API: webhooks, their secrets, and the messages that they did not get.
import { randomUUID } from 'node:crypto';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { parseAddress } from '@edgekeep/core/canonical/network';
import * as api from '@edgekeep/wire/api/webhook';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import type { PlatformKey } from '../../secrets/platform-key.ts';
import type { Database } from '../../store/database.ts';
import type { WebhookDeliveryRow, WebhookRow } from '../../store/tables/webhook.ts';
import { countsOf, dropLetters, listDead, newestProblem, retryLetters } from '../../webhook/deliveries.ts';
import {
  addWebhook,
  enableWebhook,
  getWebhook,
  listWebhooks,
  removeWebhook,
  serverOf,
  termsOf,
} from '../../webhook/destinations.ts';
import type { Webhooks } from '../../webhook/open.ts';
import { rollWebhookSecret, validSecrets } from '../../webhook/secrets.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import { refusalOf } from '../public/receiver-address.ts';
import type { StoreRouteDependencies } from './door.ts';

const byName = z.strictObject({ name: api.webhookName });

interface WebhookRouteDependencies extends StoreRouteDependencies, Pick<Webhooks, 'sender'> {
  readonly platformKey: PlatformKey;
  readonly privateNetworks: readonly string[];
}

export function webhookRoutes(app: HttpServer, dependencies: WebhookRouteDependencies): void {
  addDestinations(app, dependencies);
  addSending(app, dependencies);
  addDeadLetters(app, dependencies);
}

function addDestinations(app: HttpServer, dependencies: WebhookRouteDependencies): void {
  const { database, clock, requireScope, privateNetworks } = dependencies;
  const write = requireScope('events:write');
  const shown = (row: WebhookRow) => viewOf(database, row, clock());

  app.get(
    '/v1/webhooks',
    { ...requireScope('alerts:read'), schema: { response: { 200: api.webhookList } } },
    async () => ({ webhooks: await Promise.all((await listWebhooks(database.read)).map(shown)) }),
  );
  app.post(
    '/v1/webhooks',
    {
      ...write,
      bodyLimit: bodyBytes.certificates,
      schema: { body: api.webhookRequest, response: { 200: api.webhook } },
    },
    async ({ body, actor }) => {
      assertReachable(body.url, privateNetworks);
      return shown(await addWebhook(database, { ...body, actor, nowMs: clock() }));
    },
  );
  app.delete(
    '/v1/webhooks/:name',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.webhookRemoved } } },
    async ({ params: { name }, actor }) => {
      await removeWebhook(database, { name, actor, nowMs: clock() });
      return { name, removed: true };
    },
  );
  app.post(
    '/v1/webhooks/:name/enable',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.webhook } } },
    async ({ params: { name }, actor }) => shown(await enableWebhook(database, { name, actor, nowMs: clock() })),
  );
}

// A name is asked for at each attempt: what it means changes.
function assertReachable(url: string, privateNetworks: readonly string[]): void {
  const address = parseAddress(parseWebAddress(url).host);
  const why = address === undefined ? undefined : refusalOf(address, privateNetworks);
  if (why !== undefined) throw new HubError('request-invalid', `the hub does not connect to this address: ${why}`);
}

function addSending(app: HttpServer, dependencies: WebhookRouteDependencies): void {
  const { database, clock, requireScope, platformKey, sender } = dependencies;
  const write = requireScope('events:write');

  app.post(
    '/v1/webhooks/:name/secret',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.rollSecretRequest, response: { 200: api.rolledSecret } },
    },
    async ({ params: { name }, body: { overlapSeconds }, actor }) => {
      const order = { name, overlapSeconds, actor, nowMs: clock() };
      return { name, ...(await rollWebhookSecret(database, platformKey, order)) };
    },
  );
  app.post(
    '/v1/webhooks/:name/test',
    { ...write, bodyLimit: bodyBytes.none, schema: { params: byName, response: { 200: api.webhookTest } } },
    async ({ params: { name } }) => {
      const { status, problem } = await sender.test(await getWebhook(database.read, name), randomUUID());
      return { delivered: problem === undefined, status: status ?? null, problem: problem ?? null };
    },
  );
}

function addDeadLetters(app: HttpServer, { database, clock, requireScope }: WebhookRouteDependencies): void {
  const write = requireScope('events:write');

  app.get(
    '/v1/webhooks/:name/dead-letters',
    {
      ...requireScope('alerts:read'),
      schema: { params: byName, querystring: api.deadLetterQuery, response: { 200: api.deadLetterList } },
    },
    async ({ params: { name }, query: { after, limit } }) => {
      await getWebhook(database.read, name);
      const rows = await listDead(database.read, { webhook: name, after, limit });
      return { deadLetters: rows.map(letterOf), next: rows.length === limit ? (rows.at(-1)?.log_index ?? null) : null };
    },
  );
  app.post(
    '/v1/webhooks/:name/dead-letters/retry',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.retryLettersRequest, response: { 200: api.lettersDone } },
    },
    async ({ params: { name }, body, actor }) => ({
      letters: await retryLetters(database, { name, ...body, actor, nowMs: clock() }),
    }),
  );
  app.post(
    '/v1/webhooks/:name/dead-letters/drop',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { params: byName, body: api.dropLettersRequest, response: { 200: api.lettersDone } },
    },
    async ({ params: { name }, body, actor }) => ({
      letters: await dropLetters(database, { name, ...body, actor, nowMs: clock() }),
    }),
  );
}

async function viewOf({ read }: Pick<Database, 'read'>, row: WebhookRow, nowMs: number): Promise<api.Webhook> {
  const { name } = row;
  const secrets = await validSecrets(read, { name, nowMs });
  const { waiting, dead } = await countsOf(read, name);
  return {
    name,
    server: serverOf(row.url),
    signing: row.signing,
    ...termsOf(row),
    createdAt: row.created_at,
    createdBy: row.created_by,
    disabledReason: row.disabled_reason,
    secrets: secrets.length,
    olderSecretUntil: secrets.find((secret) => secret.expires_at !== null)?.expires_at ?? null,
    waiting,
    dead,
    problem: await newestProblem(read, name),
  };
}

function letterOf(row: WebhookDeliveryRow) {
  const { log_index: index, attempts, created_at: createdAt, attempted_at: attemptedAt, problem } = row;
  return { index, attempts, createdAt, attemptedAt, problem };
}
