// Operator API: the authorities, their rotation and roll-over (spec/authorities.md).
import { parseBase64url } from '@edgekeep/core/bytes';
import { issuedClasses } from '@edgekeep/core/identity/issuing-scope';
import * as api from '@edgekeep/wire/api/authority';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { Connections } from '../../presence/connections.ts';
import type { Database } from '../../store/database.ts';
import type { RevocationWatch } from '../../revocation/watch.ts';
import {
  abandonIssuing,
  activateIssuing,
  type AuthorityDependencies,
  installIssuing,
  requestIssuing,
} from '../../authority/issuing-orders.ts';
import { type HubKeyRing, keyListText } from '../../authority/hub-key-ring.ts';
import { revokeIssuing } from '../../authority/revoke-issuing.ts';
import { announceRoot, installRootList, setOverlap } from '../../authority/root-orders.ts';
import { issuingViews, listPending, publicView, rootViews } from '../../authority/views.ts';

const byIssuing = z.strictObject({ id: z.string().regex(/^[0-9a-f]{40}$/, 'expected 40 hex digits in lower case') });
const byRoot = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case') });
const page = z.strictObject({
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

type AuthorityOperatorRouteDependencies = AuthorityDependencies & {
  readonly keyRing: HubKeyRing;
  readonly connections: Connections;
  readonly watch: RevocationWatch;
  readonly requireScope: RequireScope;
};

export function authorityOperatorRoutes(app: HttpServer, dependencies: AuthorityOperatorRouteDependencies): void {
  addReading(app, dependencies);
  addRequests(app, dependencies);
  addIssuing(app, dependencies);
  addRoots(app, dependencies);
}

const answer = { response: { 200: api.authorityOverview } };

async function overviewOf(
  { database, authorities, clock }: AuthorityOperatorRouteDependencies,
  db: Database['read'] = database.read,
) {
  const { state } = authorities;
  const [roots, issuing] = await Promise.all([rootViews(db, state), issuingViews(db, state, clock())]);
  return { roots: [...roots], issuing: [...issuing] };
}

function addReading(app: HttpServer, dependencies: AuthorityOperatorRouteDependencies): void {
  const { database, authorities, keyRing, requireScope } = dependencies;
  const read = requireScope('devices:read');

  app.get('/v1/authorities', { ...read, schema: answer }, () => overviewOf(dependencies, database.readApart));

  app.get('/v1/authorities/chain', { ...read, schema: { response: { 200: api.authoritiesResponse } } }, async () => ({
    ...publicView(authorities.state),
    keyList: keyListText(keyRing),
  }));

  app.get(
    '/v1/authorities/pending',
    { ...read, schema: { querystring: page, response: { 200: api.pendingDevices } } },
    async ({ query }) => {
      const newest = authorities.state.roots.at(-1)?.version ?? 1;
      const pending = newest === 1 ? [] : await listPending(database.readApart, newest, query);
      const devices = pending.map((device) => ({ ...device, generation: device.rootVersion }));
      return { devices, next: devices.length === query.limit ? (devices.at(-1)?.id ?? null) : null };
    },
  );
}

function addIssuing(app: HttpServer, dependencies: AuthorityOperatorRouteDependencies): void {
  const admin = dependencies.requireScope('admin');

  app.post(
    '/v1/authorities/issuing/:id/activate',
    {
      ...admin,
      bodyLimit: bodyBytes.order,
      schema: { params: byIssuing, body: api.issuingActivateRequest, ...answer },
    },
    async ({ params, body, actor }) => {
      await activateIssuing(dependencies, { id: params.id, atMs: body.at, force: body.force, actor });
      return overviewOf(dependencies);
    },
  );

  app.post(
    '/v1/authorities/issuing/:id/abandon',
    { ...admin, bodyLimit: bodyBytes.order, schema: { params: byIssuing, body: api.issuingEndRequest, ...answer } },
    async ({ params, body, actor }) => {
      await abandonIssuing(dependencies, { id: params.id, note: body.note, actor });
      return overviewOf(dependencies);
    },
  );

  app.post(
    '/v1/authorities/issuing/:id/revoke',
    {
      ...admin,
      bodyLimit: bodyBytes.order,
      schema: { params: byIssuing, body: api.issuingEndRequest, response: { 200: api.issuingRevokeResponse } },
    },
    async ({ params, body, actor }) => revokeIssuing(dependencies, { id: params.id, note: body.note, actor }),
  );
}

function addRequests(app: HttpServer, dependencies: AuthorityOperatorRouteDependencies): void {
  const admin = dependencies.requireScope('admin');

  app.post(
    '/v1/authorities/request',
    {
      ...admin,
      bodyLimit: bodyBytes.order,
      schema: { body: api.issuingRequestRequest, response: { 200: api.issuingRequestResponse } },
    },
    async ({ body, actor }) => {
      const classes = [...new Set(body.classes ?? issuedClasses)];
      const requests = await requestIssuing(dependencies, { classes, actor });
      const request = requests.map((each) => each.request).join('');
      return { id: requests[0]?.id ?? '', request, requests: [...requests] };
    },
  );

  app.post(
    '/v1/authorities/install',
    { ...admin, bodyLimit: bodyBytes.certificates, schema: { body: api.issuingInstallRequest, ...answer } },
    async ({ body, actor }) => {
      const ids = await installIssuing(dependencies, body.certificates, actor);
      const { activate, force } = body;
      for (const id of activate === undefined ? [] : ids)
        await activateIssuing(dependencies, { id, atMs: activate === 'now' ? undefined : activate, force, actor });
      return overviewOf(dependencies);
    },
  );
}

function addRoots(app: HttpServer, dependencies: AuthorityOperatorRouteDependencies): void {
  const { authorities, requireScope } = dependencies;
  const admin = requireScope('admin');

  app.post(
    '/v1/authorities/roots',
    { ...admin, bodyLimit: bodyBytes.certificates, schema: { body: api.rootAnnounceRequest, ...answer } },
    async ({ body, actor }) => {
      await announceRoot(dependencies, body.certificates, actor);
      return overviewOf(dependencies);
    },
  );

  app.post(
    '/v1/authorities/roots/:sha256/overlap',
    { ...admin, bodyLimit: bodyBytes.order, schema: { params: byRoot, body: api.rootOverlapRequest, ...answer } },
    async ({ params, body, actor }) => {
      await setOverlap(dependencies, { sha256: params.sha256, endsAtMs: body.endsAt, actor });
      await authorities.reload();
      return overviewOf(dependencies);
    },
  );

  app.post(
    '/v1/authorities/roots/:sha256/list',
    { ...admin, bodyLimit: bodyBytes.rootList, schema: { params: byRoot, body: api.rootListRequest, ...answer } },
    async ({ params, body, actor }) => {
      const der = parseBase64url(body.list, 'list');
      await installRootList(dependencies, { sha256: params.sha256, der, actor });
      return overviewOf(dependencies);
    },
  );
}
