// Operator API: the release policy, API tokens, reference values.
import { parseBase64url } from '@edgekeep/core/bytes';
import * as api from '@edgekeep/wire/operator-api';
import { z } from 'zod';
import type { ReferenceStore } from '../attest/reference-store.ts';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../clock.ts';
import { HubError } from '../error.ts';
import type { RequireScope } from '../http/operator.ts';
import type { HttpServer } from '../http/server.ts';
import type { Database } from '../store/database.ts';
import type { ReferenceValuesRow } from '../store/schema.ts';
import { createApiToken, revokeApiTokens, type Scope, scopes } from './api-token.ts';
import type { PolicyStore } from './policy-store.ts';

const named = z.strictObject({ name: z.string().max(64), version: z.string().max(64) });

export function accessOperatorRoutes(
  app: HttpServer,
  parts: {
    database: Database;
    policies: PolicyStore;
    references: ReferenceStore;
    clock: Clock;
    requireScope: RequireScope;
  },
): void {
  const { database, policies, references, clock, requireScope } = parts;

  app.get('/v1/policy', { ...requireScope('devices:read'), schema: { response: { 200: api.policyView } } }, async () =>
    policies.current(),
  );
  app.put(
    '/v1/policy',
    { ...requireScope('policy:write'), schema: { body: api.policyOrder, response: { 200: api.policyView } } },
    async ({ body, actor }) => policies.apply({ text: body.text, actor, nowMs: clock() }),
  );

  app.get(
    '/v1/reference-values',
    {
      ...requireScope('models:read'),
      schema: { response: { 200: z.object({ referenceValues: z.array(api.referenceValuesView) }) } },
    },
    async () => ({ referenceValues: (await references.list()).map(viewOf) }),
  );
  app.post(
    '/v1/reference-values',
    {
      ...requireScope('models:publish'),
      schema: { body: api.referenceValuesOrder, response: { 200: api.referenceValuesView } },
    },
    async ({ body, actor }) => {
      const document = parseBase64url(body.document, 'document');
      return viewOf(await references.publish({ document, signature: body.signature, actor, nowMs: clock() }));
    },
  );
  app.post(
    '/v1/reference-values/:name/:version/withdraw',
    { ...requireScope('models:publish'), schema: { params: named } },
    async ({ params, actor }) => {
      await references.withdraw({ ...params, actor, nowMs: clock() });
      return { ...params, withdrawn: true };
    },
  );

  app.post(
    '/v1/tokens',
    { ...requireScope('admin'), schema: { body: api.apiTokenOrder, response: { 200: api.apiTokenAnswer } } },
    async ({ body, actor }) => {
      const nowMs = clock();
      const expiresAt = nowMs + body.lifeSeconds * 1_000;
      const granted = body.scopes.map(scopeOf);
      const token = await database.write(async (trx) => {
        const data = { scopes: granted.join(' '), expiresAt };
        await appendEntry(trx, { at: nowMs, kind: 'api-token-created', actor, subject: `token:${body.name}`, data });
        return createApiToken(trx, { name: body.name, scopes: granted, nowMs, expiresAtMs: expiresAt });
      });
      return { token, expiresAt };
    },
  );

  app.post(
    '/v1/tokens/:name/revoke',
    {
      ...requireScope('admin'),
      schema: { params: z.strictObject({ name: z.string().max(100) }), response: { 200: api.apiTokenRevoked } },
    },
    async ({ params: { name }, actor }) => {
      const nowMs = clock();
      const revoked = await database.write(async (trx) => {
        const count = await revokeApiTokens(trx, name, nowMs);
        if (count === 0) throw new HubError('not-found', `no API token ${JSON.stringify(name)} is valid`);
        await appendEntry(trx, {
          at: nowMs,
          kind: 'api-token-revoked',
          actor,
          subject: `token:${name}`,
          data: { count },
        });
        return count;
      });
      return { name, revoked };
    },
  );
}

function scopeOf(text: string): Scope {
  const scope = scopes.find((each) => each === text);
  if (scope === undefined)
    throw new HubError('request-invalid', `no scope ${JSON.stringify(text)}: there are ${scopes.join(', ')}`);
  return scope;
}

function viewOf(row: ReferenceValuesRow): z.infer<typeof api.referenceValuesView> {
  const { name, version, publisher } = row;
  return { name, version, publisher, publishedAt: row.published_at, withdrawnAt: row.withdrawn_at };
}
