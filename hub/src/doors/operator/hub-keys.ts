// Operator API: the hub's own signing keys and the list by which the root certifies them (spec/key-list.md).
import { utf8 } from '@edgekeep/core/bytes';
import * as api from '@edgekeep/wire/api/authority';
import { z } from 'zod';
import { keyListReasons } from '../../authority/key-list-alarm.ts';
import { abandonKey, activateKey, installKeyList, type KeyOrderDependencies } from '../../authority/key-orders.ts';
import { requestKeys } from '../../authority/key-request.ts';
import { countKeyListPending } from '../../authority/known-key-lists.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { HttpServer } from '../http/server.ts';
import type { RequireScope } from './door.ts';

const byKey = z.strictObject({ id: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case') });
const answer = { response: { 200: api.hubKeysView } };

type HubKeyRouteDependencies = KeyOrderDependencies & { readonly requireScope: RequireScope };

export function hubKeyRoutes(app: HttpServer, dependencies: HubKeyRouteDependencies): void {
  const { requireScope } = dependencies;
  const admin = requireScope('admin');

  app.get('/v1/authorities/keys', { ...requireScope('devices:read'), schema: answer }, () => viewOf(dependencies));

  app.post(
    '/v1/authorities/keys/request',
    {
      ...admin,
      bodyLimit: bodyBytes.order,
      schema: { body: api.keyRequestRequest, response: { 200: api.keyRequestResponse } },
    },
    async ({ body, actor }) => {
      const { purposes, stolenKeys, stolenAt, number } = body;
      const stolenAtSeconds = stolenAt === undefined ? undefined : Math.floor(stolenAt / 1_000);
      const request = await requestKeys(dependencies, {
        purposes,
        stolenKeys,
        stolenAtSeconds,
        number,
        actor,
      });
      return { request: Buffer.from(request).toString('utf8') };
    },
  );

  app.post(
    '/v1/authorities/keys/list',
    { ...admin, bodyLimit: bodyBytes.keyList, schema: { body: api.keyListInstallRequest, ...answer } },
    async ({ body, actor }) => {
      await installKeyList(dependencies, utf8(body.keyList), actor);
      return viewOf(dependencies);
    },
  );

  app.post(
    '/v1/authorities/keys/:id/activate',
    { ...admin, bodyLimit: bodyBytes.order, schema: { params: byKey, body: api.keyActivateRequest, ...answer } },
    async ({ params, body, actor }) => {
      await activateKey(dependencies, { id: params.id, force: body.force, actor });
      return viewOf(dependencies);
    },
  );

  app.post(
    '/v1/authorities/keys/:id/abandon',
    { ...admin, bodyLimit: bodyBytes.order, schema: { params: byKey, body: api.issuingEndRequest, ...answer } },
    async ({ params, body, actor }) => {
      await abandonKey(dependencies, { id: params.id, note: body.note, actor });
      return viewOf(dependencies);
    },
  );
}

async function viewOf({ database, authorities, keyRing, settings, clock }: HubKeyRouteDependencies) {
  const { rows, list } = keyRing.state;
  const currentRoot = authorities.state.root.sha256;
  const reasons = keyListReasons(keyRing.state, {
    currentRoot,
    alarmDays: settings.authorities.keyListAlarmDays,
    nowMs: clock(),
  });
  const asked = rows.filter(({ status }) => status === 'requested');
  return {
    list:
      list === undefined
        ? null
        : {
            number: list.list.number,
            root: list.rootSha256,
            issuedAt: list.list.issuedAtSeconds * 1_000,
            validUntil: list.list.validUntilSeconds * 1_000,
            file: Buffer.from(list.file).toString('utf8'),
            devicesPending: await countKeyListPending(database.read, list.list.number),
          },
    keys: rows.map((row) => ({
      id: row.id,
      purpose: row.purpose,
      status: row.status,
      origin: row.origin,
      from: row.from_seconds,
      until: row.until_seconds,
      compromised: row.compromised === 1,
    })),
    pending: [...reasons, ...asked.map(({ id, purpose }) => `the ${purpose} key ${id} waits for the root`)],
  };
}
