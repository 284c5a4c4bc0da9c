// A name that is a host's, a certificate of another class, an operator file without a root: whom clients take for the hub, and the hub for a
// device (spec/certificates.md, "Classes", "The hub's server certificate", "Names that are hosts").
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { toBase64url } from '@edgekeep/core/bytes';
import { classOid } from '@edgekeep/core/identity/certificate-class';
import { certificatePolicies, extendedKeyUsage, subjectAltName } from '@edgekeep/core/identity/extensions';
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import { keyPurposeOid } from '@edgekeep/core/identity/oid';
import { deviceProfile, ocspResponderProfile, serverProfile, workloadProfile } from '@edgekeep/core/identity/profile';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { checkNames } from '@edgekeep/hub/commands/check/names';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { alertList } from '@edgekeep/wire/api/alert';
import { whoAmI, workloadCertificateResponse } from '@edgekeep/wire/api/workload';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import { openReader } from '@edgekeep/hub/store/engine/place';
import type { Tables } from '@edgekeep/hub/store/schema';
import { z } from 'zod';
import { accepted, assertRefused } from '../support/answer.ts';
import { closeAll } from '../support/closing.ts';
import { DeviceLink } from '../support/device-link.ts';
import { openFalseHub } from '../support/false-hub.ts';
import { authorityOf, credentialUnder, plainTemplate } from '../support/hub-authority.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { newOperationalKey, TestDevice } from '../support/test-device.ts';

const { serverAuth, clientAuth } = keyPurposeOid;
const missing = ['openssl', 'curl'].find((program) => spawnSync(program, ['version']).error !== undefined);
const skipForeign = missing === undefined ? false : `${missing} is not installed`;

let fleet: SoftwareWorld;
/** A hub that has one issuing CA for everything, as before there were classes. */
let general: SoftwareWorld;
before(async () => {
  general = await SoftwareWorld.open({ names: ['localhost', '127.0.0.1', 'hub-1'] }, { generalAuthority: true });
  fleet = await SoftwareWorld.open({ names: ['localhost', '127.0.0.1', 'hub-1'] });
  await fleet.device.attest(fleet.link);
});
after(() => closeAll(general, fleet));

/** What the agent's side and the command line say to a server that shows this certificate, and what it hears of them. */
async function tryBoth({ world }: SoftwareWorld, credential: TlsClientCredential, serverName = 'localhost') {
  await using server = await openFalseHub(credential);
  const agent = HubConnection.open({
    host: '127.0.0.1',
    port: server.port,
    serverName,
    authoritiesPem: [world.hub.rootPem],
  });
  const why = await agent.then(
    () => 'accepted',
    (error: unknown) => String(error),
  );
  const file = join(world.folder, 'misled.json');
  const access: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  const url = `https://127.0.0.1:${server.port}`;
  await writeFile(file, JSON.stringify({ ...access, url, serverName }), { mode: 0o600 });
  const operator = await operatorFromFile(file);
  const answer = await operator.get('/v1/devices', z.looseObject({})).then(
    () => 'accepted',
    (error: unknown) => String(error),
  );
  return { agent: why, operator: answer, heard: server.heard };
}

async function assertNoServer(
  of: SoftwareWorld,
  credential: TlsClientCredential,
  why: RegExp,
  serverName?: string,
): Promise<void> {
  const { agent, operator, heard } = await tryBoth(of, credential, serverName);
  assert.match(agent, why);
  assert.match(operator, why);
  assert.deepEqual(heard, []);
}

// SECURITY.md: NET-10
test('a workload’s certificate is taken for the hub’s by no client of ours, under any name of the workload', async () => {
  for (const each of [fleet, general]) await assertWorkloadIsNoHub(each);
});

async function assertWorkloadIsNoHub(of: SoftwareWorld): Promise<void> {
  const { world, link } = of;
  const token = await world.apiToken(['devices:write']);
  const body = JSON.stringify({ name: 'vision', device: 'software' });
  assert.equal((await world.askOperator('POST', '/v1/workloads', { token, body })).status, 200);
  const { request, privateKeyPem } = await newOperationalKey('hub-1');
  const answer = await link.ask('POST', '/v1/workloads/vision/certificate', {
    certificateRequest: toBase64url(request),
  });
  const { certificateChain } = accepted(answer, workloadCertificateResponse);
  const credential = { certificateChainPem: certificateChain, privateKeyPem };
  await assertNoServer(of, credential, /class workload/, 'vision');
  await assertNoServer(of, credential, /class workload/);
}

// SECURITY.md: NET-10
test('nor is one from before there were classes, which had the workload’s name as its common name', async () => {
  const authority = await authorityOf(general.world, 'general');
  const uri = 'spiffe://edgekeep.local/device/software/workload/localhost';
  const extensions = [extendedKeyUsage(serverAuth, clientAuth), subjectAltName([{ kind: 'uri', text: uri }])] as const;
  const former = await credentialUnder(authority, plainTemplate('localhost', ...extensions));
  await assertNoServer(general, former, /not for servers alone/);
});

// SECURITY.md: NET-10
test('a device’s certificate, and one with the hub’s name as its common name alone, are no hub', async () => {
  const server = [extendedKeyUsage(serverAuth), certificatePolicies(classOid.server)] as const;
  for (const [of, devices, servers] of [
    [fleet, 'device', 'server'],
    [general, 'general', 'general'],
  ] as const) {
    const device = await credentialUnder(await authorityOf(of.world, devices), (...to) =>
      deviceProfile(...to, 'hub-1'),
    );
    await assertNoServer(of, device, /certificate purpose/, 'hub-1');
    const named = await credentialUnder(await authorityOf(of.world, servers), plainTemplate('localhost', ...server));
    await assertNoServer(of, named, /a common name is not read/);
  }
});

// SECURITY.md: HUB-63
test('who has the key of the CA for workloads, or of the one for devices, makes no server with it', async () => {
  const host = subjectAltName([{ kind: 'dns', text: 'localhost' }]);
  const address = subjectAltName([{ kind: 'ip', bytes: Uint8Array.of(127, 0, 0, 1) }]);
  const asServer = [extendedKeyUsage(serverAuth), certificatePolicies(classOid.server)] as const;
  const workloads = await authorityOf(fleet.world, 'workload');
  const excluded = /excluded subtree violation/;
  await assertNoServer(fleet, await credentialUnder(workloads, plainTemplate('x', ...asServer, host)), excluded);
  const onAddress = await credentialUnder(workloads, plainTemplate('x', ...asServer, address));
  await assertNoServer(fleet, onAddress, excluded, '127.0.0.1');
  const nameless = await credentialUnder(workloads, plainTemplate('localhost', ...asServer));
  await assertNoServer(fleet, nameless, /issues for the class workload, not server/);
  const devices = await authorityOf(fleet.world, 'device');
  const ofDevice = await credentialUnder(devices, plainTemplate('x', ...asServer, host));
  await assertNoServer(fleet, ofDevice, /certificate purpose|excluded subtree violation/);
});

// SECURITY.md: HUB-02
test('the hub’s own certificates, and those of another class, count as none of a device', async () => {
  const urn = subjectAltName([{ kind: 'uri', text: 'urn:edgekeep:device:software' }]);
  const names = { dnsNames: ['localhost'], ipAddresses: [] };
  const id = { trustDomain: 'edgekeep.local', deviceId: 'software', workload: 'vision' };
  const client = extendedKeyUsage(clientAuth);
  const asDevice = plainTemplate('software', client, urn, certificatePolicies(classOid.device));
  const both = extendedKeyUsage(serverAuth, clientAuth);
  for (const one of [fleet, general]) {
    const under = async (issuer: IssuedClass, template: Parameters<typeof credentialUnder>[1]) =>
      credentialUnder(await authorityOf(one.world, one === fleet ? issuer : 'general'), template);
    const shown = {
      server: await under('server', (...to) => serverProfile(...to, names)),
      responder: await under('device', (...to) => ocspResponderProfile(...to, commonNameOnly('software'))),
      'class of a server': await under(
        'device',
        plainTemplate('software', client, urn, certificatePolicies(classOid.server)),
      ),
      'class of a workload': await under(
        'device',
        plainTemplate('software', both, urn, certificatePolicies(classOid.workload)),
      ),
      'two classes': await under(
        'device',
        plainTemplate('software', client, urn, certificatePolicies(classOid.device, classOid.workload)),
      ),
      workload: await under('workload', (...to) => workloadProfile(...to, id)),
      ...(one === fleet && {
        'a device by the CA for workloads': await under('workload', asDevice),
        'a device by the CA for servers': await under('server', asDevice),
        'a device without a class': await under('device', plainTemplate('software', client, urn)),
        'a workload by the CA for devices': await under('device', (...to) => workloadProfile(...to, id)),
      }),
    };
    for (const [what, credential] of Object.entries(shown)) {
      await using link = await DeviceLink.open(one.world.hub, credential);
      const { status } = await link.ask('POST', '/v1/challenges');
      // OpenSSL leaves an error for a URN under a constraint on URIs, and Node ends the connection with it.
      assert.ok(
        status === 401 || (status === 400 && what === 'a device by the CA for workloads'),
        `${what}: ${status}`,
      );
    }
  }
  // A name of a host in it is none of a device's: the client is cut, or counts as none.
  const host = subjectAltName([
    { kind: 'uri', text: 'urn:edgekeep:device:software' },
    { kind: 'dns', text: 'localhost' },
  ]);
  const template = plainTemplate('software', client, host, certificatePolicies(classOid.device));
  const withHost = await credentialUnder(await authorityOf(general.world, 'general'), template);
  await assert.rejects(async () => {
    await using link = await DeviceLink.open(general.world.hub, withHost);
    accepted(await link.ask('GET', '/v1/whoami'), whoAmI);
  });
});

// SECURITY.md: HUB-62
test('no workload, device or person gets a name that could be a host’s', async () => {
  const { world, link } = fleet;
  const token = await world.adminToken();
  const send = (path: string, body: object) => world.askOperator('POST', path, { token, body: JSON.stringify(body) });
  const reserved = { status: 409, code: 'name-reserved' };
  for (const name of ['localhost', 'hub-1', '2130706433']) {
    assertRefused(await send('/v1/workloads', { name, device: 'software' }), reserved);
  }
  for (const name of ['localhost', 'hub-1', '127.0.0.1', 'x.localhost'])
    assertRefused(await send('/v1/people', { name }), reserved);
  for (const id of ['localhost', 'hub-1']) {
    assertRefused(await send('/v1/token-devices', { id }), reserved);
    await using stranger = await TestDevice.withoutTpm(id, join(world.folder, id));
    assertRefused(await stranger.tryEnroll(world, await world.enrollmentToken()), {
      status: 403,
      code: 'enrollment-refused',
      reason: 'name-reserved',
    });
  }
  const lines = `${JSON.stringify({ id: 'hub-1' })}\n`;
  const imported = await world.askOperator('POST', '/v1/devices/import', {
    token,
    body: lines,
    contentType: 'application/x-ndjson',
  });
  assert.match(Buffer.from(imported.body).toString(), /a name of this hub/);
  const { request } = await newOperationalKey('x');
  const ask = { certificateRequest: toBase64url(request) };
  assertRefused(await link.ask('POST', '/v1/workloads/hub-1/certificate', ask), {
    status: 403,
    code: 'workload-refused',
    reason: 'name-reserved',
  });
});

// SECURITY.md: HUB-62
test('a workload that has such a name from before gets no further certificate, and the hub says so', async () => {
  await using own = await SoftwareWorld.open({ names: ['localhost', 'hub-1'] });
  await own.device.attest(own.link);
  const declared = { name: 'gate', device: 'software' };
  const token = await own.world.adminToken();
  assert.equal(
    (await own.world.askOperator('POST', '/v1/workloads', { token, body: JSON.stringify(declared) })).status,
    200,
  );
  const { request } = await newOperationalKey('x');
  const ask = () =>
    own.link.ask('POST', '/v1/workloads/gate/certificate', { certificateRequest: toBase64url(request) });
  accepted(await ask(), workloadCertificateResponse);
  // The hub gets a name that the workload has already.
  await own.world.rename(['localhost', 'gate']);
  await own.reconnect();
  await own.device.attest(own.link);
  assertRefused(await ask(), { status: 403, code: 'workload-refused', reason: 'name-reserved' });
  const { alerts } = await own.world.operator.get('/v1/alerts?kind=name-reserved', alertList);
  assert.match(alerts[0]?.title ?? '', /workload gate/);
  await using store = await openReader<Tables>(own.world.storeFile);
  const findings = await checkNames(store, { names: ['localhost', 'gate'], publicUrl: null });
  assert.deepEqual(
    findings.map(({ state, found }) => ({ state, found })),
    [{ state: 'warning', found: 'workload with the name of a host: gate' }],
  );
  // A name that the hub gave up is still in the settings of clients.
  await own.world.rename(['localhost']);
  const again = { name: 'hub-1', device: 'software' };
  assertRefused(await own.world.askOperator('POST', '/v1/workloads', { token, body: JSON.stringify(again) }), {
    status: 409,
    code: 'name-reserved',
  });
});

// SECURITY.md: NET-11
test('an operator file without a root shows its token to nobody', async () => {
  const { world } = fleet;
  const authority = await authorityOf(world, 'server');
  const names = { dnsNames: ['localhost'], ipAddresses: [] };
  await using server = await openFalseHub(await credentialUnder(authority, (...to) => serverProfile(...to, names)));
  const access: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  const file = join(world.folder, 'rootless.json');
  for (const root of ['', ' \n', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n']) {
    const url = `https://localhost:${server.port}`;
    await writeFile(file, JSON.stringify({ ...access, url, root }), { mode: 0o600 });
    await assert.rejects(operatorFromFile(file), /it names no root/);
  }
  assert.deepEqual(server.heard, []);
});

// SECURITY.md: NET-10
test('openssl and curl take a workload for no host', { skip: skipForeign }, async () => {
  const { world } = fleet;
  const authority = await authorityOf(world, 'workload');
  const id = { trustDomain: 'edgekeep.local', deviceId: 'software', workload: 'vision' };
  await using server = await openFalseHub(await credentialUnder(authority, (...to) => workloadProfile(...to, id)));
  const root = join(world.folder, 'root.pem');
  await writeFile(root, world.hub.rootPem);
  const run = (program: string, ...args: readonly string[]) =>
    new Promise<{ code: unknown; text: string }>((resolve) => {
      const child = execFile(program, args, (error, stdout, stderr) =>
        resolve({ code: error?.code ?? 0, text: stdout + stderr }),
      );
      child.stdin?.end();
    });
  const to = `${server.port}:127.0.0.1`;
  const curl = await run(
    'curl',
    '-sS',
    '--cacert',
    root,
    '--resolve',
    `vision:${to}`,
    `https://vision:${server.port}/`,
  );
  assert.equal(curl.code, 60, curl.text);
  const connect = ['s_client', '-connect', `127.0.0.1:${server.port}`, '-CAfile', root, '-verify_return_error'];
  const openssl = await run('openssl', ...connect, '-verify_hostname', 'vision');
  assert.match(openssl.text, /hostname mismatch/i);
  assert.deepEqual(server.heard, []);
});
