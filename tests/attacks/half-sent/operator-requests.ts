// A request for each changing route of the operator listener that its schema accepts. The test fails for a route without one.

const digest = 'a'.repeat(64);
const issuing = 'a'.repeat(40);
const reason = { reason: 'after the end' };
const json = (value: object) => JSON.stringify(value);
const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
const policy = 'permit (principal, action, resource);';

export interface OperatorRequest {
  readonly path: string;
  readonly body: string;
  readonly contentType?: string;
}

/** By method and route, as the hub names them. */
export const operatorRequests: Readonly<Record<string, OperatorRequest>> = {
  'DELETE /v1/enrollment-groups/:name': { path: '/v1/enrollment-groups/none', body: '{}' },
  'DELETE /v1/expected-devices/:id': { path: '/v1/expected-devices/none', body: '{}' },
  'DELETE /v1/groups/:name': { path: '/v1/groups/none', body: '{}' },
  'DELETE /v1/webhooks/:name': { path: '/v1/webhooks/none', body: '{}' },
  'DELETE /v1/vendor-roots/:kind/:sha256': { path: `/v1/vendor-roots/tpm/${digest}?reason=r`, body: '{}' },
  'POST /v1/blocked-addresses': { path: '/v1/blocked-addresses', body: json({ network: '203.0.113.9', ...reason }) },
  'POST /v1/blocked-addresses/unblock': {
    path: '/v1/blocked-addresses/unblock',
    body: json({ network: '203.0.113.9', ...reason }),
  },
  'POST /v1/vendor-roots': { path: '/v1/vendor-roots', body: json({ kind: 'tpm', certificates: ['AAAA'] }) },
  'POST /v1/models/:name/groups': { path: '/v1/models/belt/groups', body: json({ add: ['presses'] }) },
  'POST /v1/claim': { path: '/v1/claim', body: json({ name: 'late', sha256: digest }) },
  'POST /v1/tokens/:id/hand-over': { path: `/v1/tokens/${'a'.repeat(16)}/hand-over`, body: '{}' },
  'DELETE /v1/sites/:name': { path: '/v1/sites/none', body: '{}' },
  'POST /v1/alerts/:id/acknowledge': { path: '/v1/alerts/1/acknowledge', body: '{}' },
  'POST /v1/alerts/:id/close': { path: '/v1/alerts/1/close', body: json({ note: 'over' }) },
  'POST /v1/approvals/:id/approve': { path: '/v1/approvals/none/approve', body: json({ digest }) },
  'POST /v1/approvals/:id/refuse': { path: '/v1/approvals/none/refuse', body: json(reason) },
  'POST /v1/authorities/install': { path: '/v1/authorities/install', body: json({ certificates: pem }) },
  'POST /v1/authorities/issuing/:id/abandon': {
    path: `/v1/authorities/issuing/${issuing}/abandon`,
    body: json({ note: 'n' }),
  },
  'POST /v1/authorities/issuing/:id/activate': { path: `/v1/authorities/issuing/${issuing}/activate`, body: '{}' },
  'POST /v1/authorities/issuing/:id/revoke': {
    path: `/v1/authorities/issuing/${issuing}/revoke`,
    body: json({ note: 'n' }),
  },
  'POST /v1/authorities/keys/request': { path: '/v1/authorities/keys/request', body: json({ purposes: [] }) },
  'POST /v1/authorities/keys/list': { path: '/v1/authorities/keys/list', body: json({ keyList: '{}' }) },
  'POST /v1/authorities/keys/:id/activate': { path: `/v1/authorities/keys/${digest}/activate`, body: '{}' },
  'POST /v1/authorities/keys/:id/abandon': {
    path: `/v1/authorities/keys/${digest}/abandon`,
    body: json({ note: 'n' }),
  },
  'POST /v1/authorities/request': { path: '/v1/authorities/request', body: '{}' },
  'POST /v1/authorities/roots/:sha256/list': {
    path: `/v1/authorities/roots/${digest}/list`,
    body: json({ list: 'AAAA' }),
  },
  'POST /v1/authorities/roots/:sha256/overlap': {
    path: `/v1/authorities/roots/${digest}/overlap`,
    body: json({ endsAt: 1 }),
  },
  'POST /v1/authorities/roots': { path: '/v1/authorities/roots', body: json({ certificates: pem }) },
  'POST /v1/blocked-roots/:root/unblock': { path: `/v1/blocked-roots/${digest}/unblock`, body: json(reason) },
  'POST /v1/blocked-roots': { path: '/v1/blocked-roots', body: json({ rootSha256: digest, ...reason }) },
  'POST /v1/certificates/revoke': {
    path: '/v1/certificates/revoke',
    body: json({ devices: ['press-1'], reason: 'keyCompromise', note: 'n' }),
  },
  'POST /v1/devices/:id/disable': { path: '/v1/devices/press-1/disable', body: json(reason) },
  'POST /v1/devices/:id/enable': { path: '/v1/devices/press-1/enable', body: '{}' },
  'POST /v1/devices/:id/forget-hybrid-key': { path: '/v1/devices/press-1/forget-hybrid-key', body: json(reason) },
  'POST /v1/devices/:id/retry-model': { path: '/v1/devices/press-1/retry-model', body: json({ model: 'belt' }) },
  'POST /v1/devices/:id/quarantine': { path: '/v1/devices/press-1/quarantine', body: json(reason) },
  'POST /v1/devices/:id/release': { path: '/v1/devices/press-1/release', body: json(reason) },
  'POST /v1/devices/:id/replace-root': {
    path: '/v1/devices/press-1/replace-root',
    body: json({ rootSha256: digest, ...reason }),
  },
  'POST /v1/devices/:id/retire': { path: '/v1/devices/none/retire', body: json(reason) },
  'POST /v1/devices/:id/tags': { path: '/v1/devices/press-1/tags', body: json({ set: { line: 'seven' } }) },
  'POST /v1/devices/:id/wiped': { path: '/v1/devices/none/wiped', body: json(reason) },
  'POST /v1/devices/:id/workloads/:name/disable': {
    path: '/v1/devices/press-1/workloads/w/disable',
    body: json(reason),
  },
  'POST /v1/devices/:id/workloads/:name/enable': { path: '/v1/devices/press-1/workloads/w/enable', body: '{}' },
  'POST /v1/devices/import': {
    path: '/v1/devices/import',
    body: `${json({ id: 'press-9' })}\n `,
    contentType: 'application/x-ndjson',
  },
  'POST /v1/enrollment-groups/:name/disable': { path: '/v1/enrollment-groups/none/disable', body: json(reason) },
  'POST /v1/enrollment-groups/:name/enable': { path: '/v1/enrollment-groups/none/enable', body: '{}' },
  'POST /v1/enrollment-groups/:name/tokens': {
    path: '/v1/enrollment-groups/none/tokens',
    body: json({ maxUses: 2, lifeSeconds: 600 }),
  },
  'POST /v1/enrollment-groups': { path: '/v1/enrollment-groups', body: json({ name: 'g', kind: 'token' }) },
  'POST /v1/enrollment-tokens/:id/hand-over': {
    path: `/v1/enrollment-tokens/${'a'.repeat(16)}/hand-over`,
    body: '{}',
  },
  'POST /v1/enrollment-tokens/:id/revoke': { path: `/v1/enrollment-tokens/${'a'.repeat(16)}/revoke`, body: '{}' },
  'POST /v1/enrollment-tokens': { path: '/v1/enrollment-tokens', body: '{}' },
  'POST /v1/event-cursors/:name/reset': {
    path: '/v1/event-cursors/none/reset',
    body: json({ position: null, ...reason }),
  },
  'POST /v1/groups/:name/members': { path: '/v1/groups/presses/members', body: json({ add: ['press-1'] }) },
  'POST /v1/groups': { path: '/v1/groups', body: json({ name: 'late' }) },
  'POST /v1/ima-policies/:name/:version/withdraw': { path: '/v1/ima-policies/a/1/withdraw', body: '{}' },
  'POST /v1/ima-policies': { path: '/v1/ima-policies', body: json({ document: 'AAAA', signature: '{}' }) },
  'POST /v1/models/:name/:version/publish': { path: '/v1/models/belt/2.0.0/publish', body: '{}' },
  'POST /v1/models/:name/:version/withdraw': { path: '/v1/models/belt/1.0.0/withdraw', body: '{}' },
  'POST /v1/models': {
    path: '/v1/models',
    body: json({ manifest: 'AAAA', signature: '{}', modelKey: 'A'.repeat(43) }),
  },
  'POST /v1/nodes/:name/remove': { path: '/v1/nodes/none/remove', body: json(reason) },
  'POST /v1/nodes/invitations': {
    path: '/v1/nodes/invitations',
    body: json({ name: 'late', publicKey: 'A'.repeat(43), lifeSeconds: 60 }),
  },
  'POST /v1/people/:name/disable': { path: '/v1/people/none/disable', body: json(reason) },
  'POST /v1/people/:name/enable': { path: '/v1/people/none/enable', body: '{}' },
  'POST /v1/people': { path: '/v1/people', body: json({ name: 'late' }) },
  'POST /v1/platform-key/roll': { path: '/v1/platform-key/roll', body: '{}' },
  'POST /v1/policy/rollback': { path: '/v1/policy/rollback', body: json({ version: 1 }) },
  'POST /v1/policy/simulate': { path: '/v1/policy/simulate', body: json({ text: policy }) },
  'POST /v1/publishers/:sha256/end': { path: `/v1/publishers/${'0'.repeat(64)}/end`, body: json({ note: 'left' }) },
  'POST /v1/publishers': { path: '/v1/publishers', body: json({ name: 'late', publicKey: pem }) },
  'POST /v1/reference-values/:name/:version/withdraw': { path: '/v1/reference-values/a/1/withdraw', body: '{}' },
  'POST /v1/reference-values': { path: '/v1/reference-values', body: json({ document: 'AAAA', signature: '{}' }) },
  'POST /v1/sites/:name/devices': { path: '/v1/sites/none/devices', body: json({ add: ['press-1'] }) },
  'POST /v1/sites': { path: '/v1/sites', body: json({ name: 'late' }) },
  'POST /v1/token-devices/:id/roll': { path: '/v1/token-devices/none/roll', body: '{}' },
  'POST /v1/token-devices': { path: '/v1/token-devices', body: json({ id: 'late' }) },
  'POST /v1/tokens/:name/revoke': { path: '/v1/tokens/none/revoke', body: '{}' },
  'POST /v1/tokens': { path: '/v1/tokens', body: json({ name: 'survivor', roles: ['operator'], lifeSeconds: 60 }) },
  'POST /v1/webhooks': { path: '/v1/webhooks', body: json({ name: 'late', url: 'https://desk.example/hook' }) },
  'POST /v1/webhooks/:name/enable': { path: '/v1/webhooks/none/enable', body: '{}' },
  'POST /v1/webhooks/:name/secret': { path: '/v1/webhooks/none/secret', body: '{}' },
  'POST /v1/webhooks/:name/test': { path: '/v1/webhooks/none/test', body: '{}' },
  'POST /v1/webhooks/:name/dead-letters/retry': {
    path: '/v1/webhooks/none/dead-letters/retry',
    body: json({ letters: 'all' }),
  },
  'POST /v1/webhooks/:name/dead-letters/drop': {
    path: '/v1/webhooks/none/dead-letters/drop',
    body: json({ letters: 'all', ...reason }),
  },
  'POST /v1/workloads/:name/remove': { path: '/v1/workloads/none/remove', body: json({ device: 'press-1' }) },
  'POST /v1/workloads': { path: '/v1/workloads', body: json({ name: 'w', device: 'press-1' }) },
  'PUT /v1/countries': { path: '/v1/countries', body: json({ networks: [{ network: '10.0.0.0/8', country: 'AT' }] }) },
  'PUT /v1/devices/:id/desired': { path: '/v1/devices/press-1/desired', body: json({ attributes: { rate: 1 } }) },
  'PUT /v1/enrollment-groups/:name/limit': { path: '/v1/enrollment-groups/none/limit', body: json({ maxDevices: 9 }) },
  'PUT /v1/models/:name/:version/files/*': {
    path: '/v1/models/belt/2.0.0/files/weights.bin',
    body: 'ciphertext',
    contentType: 'application/octet-stream',
  },
  'PUT /v1/policy': { path: '/v1/policy', body: json({ text: policy }) },
  'POST /v1/post-quantum/simulate': { path: '/v1/post-quantum/simulate', body: json({ groups: ['presses'] }) },
  'PUT /v1/post-quantum': { path: '/v1/post-quantum', body: json({ groups: ['presses'] }) },
  'PUT /v1/witness-policy': {
    path: '/v1/witness-policy',
    body: json({ quorum: 1, tiers: ['tpm'], whenUnmet: 'refuse', text: null }),
  },
  'PUT /v1/sites/:name': { path: '/v1/sites/none', body: json({}) },
};

/** They need no authority: their answers are public, and they change nothing. */
export const publicRoutes: ReadonlySet<string> = new Set(['POST /ocsp', 'POST /v1/join']);
