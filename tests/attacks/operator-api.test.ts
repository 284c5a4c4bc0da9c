// The operator API without a token, with the wrong one, or beyond its scope.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { assertRefused } from '../support/answer.ts';
import { HubWorld } from '../support/hub-world.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

const routes = [
  ['GET', '/v1/hub', 'devices:read'],
  ['GET', '/v1/devices', 'devices:read'],
  ['GET', '/v1/devices/any', 'devices:read'],
  ['POST', '/v1/devices/any/quarantine', 'devices:write'],
  ['POST', '/v1/devices/any/retire', 'devices:write'],
  ['POST', '/v1/devices/any/release', 'devices:write'],
  ['POST', '/v1/devices/any/wiped', 'devices:write'],
  ['POST', '/v1/devices/any/replace-root', 'enrollment:write'],
  ['POST', '/v1/enrollment-tokens', 'enrollment:write'],
  ['GET', '/v1/enrollment-tokens', 'devices:read'],
  ['POST', '/v1/enrollment-tokens/0123456789abcdef/revoke', 'enrollment:write'],
  ['POST', '/v1/enrollment-tokens/0123456789abcdef/hand-over', 'enrollment:write'],
  ['GET', '/v1/expected-devices', 'devices:read'],
  ['DELETE', '/v1/expected-devices/any', 'enrollment:write'],
  ['GET', '/v1/blocked-roots', 'devices:read'],
  ['POST', '/v1/blocked-roots', 'enrollment:write'],
  ['POST', `/v1/blocked-roots/${'0'.repeat(64)}/unblock`, 'enrollment:write'],
  ['GET', '/v1/enrollment-groups', 'devices:read'],
  ['POST', '/v1/enrollment-groups', 'admin'],
  ['GET', '/v1/enrollment-groups/any', 'devices:read'],
  ['DELETE', '/v1/enrollment-groups/any', 'enrollment:write'],
  ['POST', '/v1/enrollment-groups/any/disable', 'enrollment:write'],
  ['POST', '/v1/enrollment-groups/any/enable', 'admin'],
  ['PUT', '/v1/enrollment-groups/any/limit', 'admin'],
  ['POST', '/v1/enrollment-groups/any/tokens', 'enrollment:write'],
  ['GET', '/v1/publishers', 'models:read'],
  ['POST', '/v1/publishers', 'admin'],
  ['GET', '/v1/models', 'models:read'],
  ['POST', '/v1/models', 'models:publish'],
  ['GET', '/v1/models/any/devices', 'devices:read'],
  ['GET', '/v1/models/any/groups', 'models:read'],
  ['POST', '/v1/models/any/groups', 'policy:write'],
  ['POST', '/v1/devices/any/retry-model', 'devices:write'],
  ['PUT', '/v1/models/any/1.0.0/files/any', 'models:publish'],
  ['POST', '/v1/models/any/1.0.0/publish', 'models:publish'],
  ['POST', '/v1/models/any/1.0.0/withdraw', 'models:publish'],
  ['POST', '/v1/token-devices', 'enrollment:write'],
  ['POST', '/v1/token-devices/any/roll', 'enrollment:write'],
  ['GET', '/v1/sites', 'devices:read'],
  ['POST', '/v1/sites', 'devices:write'],
  ['GET', '/v1/sites/any', 'devices:read'],
  ['PUT', '/v1/sites/any', 'devices:write'],
  ['DELETE', '/v1/sites/any', 'devices:write'],
  ['POST', '/v1/sites/any/devices', 'devices:write'],
  ['POST', '/v1/tokens/any/revoke', 'tokens:write'],
  ['GET', '/v1/workloads', 'devices:read'],
  ['POST', '/v1/workloads', 'devices:write'],
  ['POST', '/v1/workloads/any/remove', 'devices:write'],
  ['GET', '/v1/devices/any/workloads', 'devices:read'],
  ['POST', '/v1/devices/any/workloads/any/disable', 'devices:write'],
  ['POST', '/v1/devices/any/workloads/any/enable', 'devices:write'],
  ['GET', '/v1/devices/any/workloads/any/history', 'devices:read'],
  ['GET', '/v1/tokens', 'tokens:write'],
  ['GET', '/v1/tokens/any', 'tokens:write'],
  ['GET', '/v1/people', 'admin'],
  ['POST', '/v1/people', 'admin'],
  ['POST', '/v1/people/any/disable', 'admin'],
  ['POST', '/v1/people/any/enable', 'admin'],
  ['GET', '/v1/certificates', 'devices:read'],
  ['POST', '/v1/certificates/revoke', 'devices:write'],
  ['GET', '/v1/expiry', 'devices:read'],
  ['GET', '/v1/authorities', 'devices:read'],
  ['GET', '/v1/authorities/chain', 'devices:read'],
  ['GET', '/v1/authorities/pending', 'devices:read'],
  ['POST', '/v1/authorities/request', 'admin'],
  ['POST', '/v1/authorities/install', 'admin'],
  ['POST', `/v1/authorities/issuing/${'0'.repeat(40)}/activate`, 'admin'],
  ['POST', `/v1/authorities/issuing/${'0'.repeat(40)}/abandon`, 'admin'],
  ['POST', `/v1/authorities/issuing/${'0'.repeat(40)}/revoke`, 'admin'],
  ['POST', '/v1/authorities/roots', 'admin'],
  ['POST', `/v1/authorities/roots/${'0'.repeat(64)}/overlap`, 'admin'],
  ['POST', `/v1/authorities/roots/${'0'.repeat(64)}/list`, 'admin'],
  ['GET', '/v1/policy', 'devices:read'],
  ['PUT', '/v1/policy', 'policy:write'],
  ['POST', '/v1/policy/rollback', 'policy:write'],
  ['POST', '/v1/policy/simulate', 'policy:write'],
  ['GET', '/v1/policy/versions', 'devices:read'],
  ['GET', '/v1/policy/versions/1', 'devices:read'],
  ['GET', '/v1/countries', 'devices:read'],
  ['PUT', '/v1/countries', 'policy:write'],
  ['GET', '/v1/reference-values', 'models:read'],
  ['POST', '/v1/reference-values', 'models:publish'],
  ['POST', '/v1/reference-values/any/1.0/withdraw', 'models:publish'],
  ['POST', '/v1/tokens', 'tokens:write'],
  ['GET', '/v1/audit', 'audit:read'],
  ['GET', '/v1/audit/0/proof', 'audit:read'],
  ['GET', '/v1/leases', 'audit:read'],
  ['GET', '/v1/receipts/any', 'audit:read'],
  ['GET', '/metrics', 'metrics:read'],
  ['GET', '/v1/nodes', 'devices:read'],
  ['POST', '/v1/nodes/invitations', 'admin'],
  ['POST', '/v1/nodes/any/remove', 'admin'],
  ['GET', '/v1/alerts', 'alerts:read'],
  ['GET', '/v1/alerts/0', 'alerts:read'],
  ['POST', '/v1/alerts/0/acknowledge', 'alerts:write'],
  ['POST', '/v1/alerts/0/close', 'alerts:write'],
] as const;

/** Public: health, public keys, the log itself, which certificates are revoked. */
const openRoutes = [
  'GET /crl',
  'GET /crl/*',
  'GET /crl/root/*',
  'POST /ocsp',
  'GET /ocsp/*',
  'GET /healthz',
  'GET /readyz',
  'GET /v1/join',
  'POST /v1/join',
  'GET /v1/trust',
  'GET /log/checkpoint',
  'GET /log/tile/*',
];

const openApi = z.object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) });

/** A body that passes the schema of its route, so that the refusal is about the token. */
function bodyFor(method: string, path: string): { body?: string; contentType?: string } {
  if (method === 'GET' || method === 'DELETE') return {};
  if (path.includes('/files/')) return { body: 'x', contentType: 'application/octet-stream' };
  const bodies: Readonly<Record<string, object>> = {
    '/v1/enrollment-tokens': {},
    '/v1/enrollment-groups': { name: 'x', kind: 'manifest' },
    '/v1/enrollment-groups/any/enable': {},
    '/v1/enrollment-groups/any/limit': { maxDevices: 1 },
    '/v1/blocked-roots': { rootSha256: '0'.repeat(64), reason: 'x' },
    '/v1/devices/any/replace-root': { rootSha256: '0'.repeat(64), reason: 'x' },
    '/v1/enrollment-groups/any/tokens': { maxUses: 1 },
    '/v1/publishers': { name: 'x', publicKey: 'x' },
    '/v1/models': { manifest: '', signature: '', modelKey: '' },
    '/v1/policy': { text: '' },
    '/v1/policy/rollback': { version: 99 },
    '/v1/policy/simulate': { text: '' },
    '/v1/countries': { networks: [] },
    '/v1/reference-values': { document: '', signature: '' },
    '/v1/tokens': { name: 'x', scopes: ['tokens:write'], lifeSeconds: 60 },
    '/v1/approvals/any/approve': { digest: '0'.repeat(64) },
    '/v1/workloads': { name: 'x', device: 'any' },
    '/v1/workloads/any/remove': { device: 'any' },
    '/v1/people': { name: 'x' },
    '/v1/people/any/enable': {},
    '/v1/token-devices': { id: 'x' },
    '/v1/sites': { name: 'x' },
    '/v1/sites/any': {},
    '/v1/sites/any/devices': { add: ['x'] },
    '/v1/certificates/revoke': { serials: ['1'], reason: 'unspecified', note: 'x' },
    '/v1/token-devices/any/roll': {},
    '/v1/alerts/0/acknowledge': {},
    '/v1/alerts/0/close': { note: 'x' },
  };
  return { body: JSON.stringify(bodies[path] ?? { reason: 'x' }) };
}

// SECURITY.md: HUB-01
test('every route that tells or changes anything asks for a token before it reads a body', async (t) => {
  const document = await world.askOperator('GET', '/openapi.json');
  const { paths } = openApi.parse(JSON.parse(Buffer.from(document.body).toString()));
  const named = Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => [method.toUpperCase(), path.replaceAll(/\{[^}]+\}/g, '*')] as const),
  );
  const guarded = named.filter(([method, path]) => method !== 'HEAD' && !openRoutes.includes(`${method} ${path}`));
  assert.ok(guarded.length >= routes.length, `only ${guarded.length} routes are described`);
  const unknown = { token: `ek_${randomBytes(32).toString('base64url')}` };
  for (const [method, path] of guarded) {
    await t.test(`${method} ${path}`, async () => {
      const asked = path.replaceAll('*', 'any');
      assertRefused(await world.askOperator(method, asked), { status: 401, code: 'token-required' });
      assertRefused(await world.askOperator(method, asked, unknown), { status: 401, code: 'token-refused' });
      const spoiled = { ...unknown, body: '{', contentType: 'application/json' };
      if (method === 'POST' || method === 'PUT')
        assertRefused(await world.askOperator(method, asked, spoiled), { status: 401, code: 'token-refused' });
    });
  }
});

// SECURITY.md: HUB-01
test('a token opens only what its scopes name', async (t) => {
  const every = [...new Set(routes.map(([, , scope]) => scope))].filter((scope) => scope !== 'admin');
  for (const [method, path, scope] of routes) {
    await t.test(`${method} ${path}`, async () => {
      const others = await world.apiToken(every.filter((each) => each !== scope));
      const answer = await world.askOperator(method, path, { ...bodyFor(method, path), token: others });
      assertRefused(answer, { status: 403, code: 'scope-missing', says: new RegExp(scope) });
      if (scope === 'admin') return;
      const own = await world.apiToken([scope]);
      const { status } = await world.askOperator(method, path, { ...bodyFor(method, path), token: own });
      assert.ok(status !== 401 && status !== 403 && status < 500, `it was answered with ${status}`);
    });
  }
});

test('an expired token is refused', async () => {
  const token = await world.apiToken(['devices:read'], 60);
  assert.equal((await world.askOperator('GET', '/v1/devices', { token })).status, 200);
  world.clock.advanceSeconds(61);
  const answer = await world.askOperator('GET', '/v1/devices', { token });
  assertRefused(answer, { status: 401, code: 'token-refused', says: /expired/ });
});

test('a token is taken from the Authorization header alone, in its own form', async () => {
  const token = await world.adminToken();
  for (const [path, sent] of [
    [`/v1/devices?token=${token}`, undefined],
    ['/v1/devices', ` ${token}`],
    ['/v1/devices', `${token}x`],
    ['/v1/devices', token.slice(0, -1)],
    ['/v1/devices', token.toUpperCase()],
  ] as const) {
    const { status } = await world.askOperator('GET', path, sent === undefined ? {} : { token: sent });
    assert.ok(status === 400 || status === 401, `${path} was answered with ${status}`);
  }
});

test('a scope that does not exist is refused, and gives no token', async () => {
  const body = JSON.stringify({ name: 'x', scopes: ['devices:read', 'everything'] });
  const answer = await world.askOperator('POST', '/v1/tokens', { token: await world.adminToken(), body });
  assertRefused(answer, { status: 400, code: 'request-invalid', says: /everything/ });
});

// SECURITY.md: HUB-36
test('no token, key or nonce is in the log or in the store as it was handed out', async () => {
  const token = await world.enrollmentToken();
  const apiToken = await world.apiToken(['devices:read']);
  const stored = await Promise.all(
    ['hub.sqlite', 'hub.sqlite-wal'].map((name) => readFile(join(world.hubFolder, name)).catch(() => Buffer.alloc(0))),
  );
  for (const secret of [token, apiToken]) {
    assert.ok(
      stored.every((bytes) => !bytes.includes(secret)),
      'a token can be read from the store',
    );
  }
});
