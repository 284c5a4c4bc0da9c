// Workloads from end to end: an agent gets them certificates, two of them authenticate to each other with openssl as one end, and when the
// device is cut off, openssl no longer accepts them.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { request } from 'node:http';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { text } from 'node:stream/consumers';
import { createServer, type TLSSocket } from 'node:tls';
import { groupView } from '@edgekeep/wire/api/registry';
import { declarationView, deviceWorkloadList, workloadSwitched } from '@edgekeep/wire/api/workload';
import { z } from 'zod';
import { authorityOverview } from '@edgekeep/wire/api/authority';
import { HubWorld } from './support/hub-world.ts';
import { runProgram } from './support/run-program.ts';
import { TestAgent } from './support/test-agent.ts';

const missing = spawnSync('openssl', ['version']).error !== undefined;
const skip = missing && process.env['CI'] !== 'true' ? 'openssl is not installed' : false;

let world: HubWorld;
let folder = '';
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-workload-'));
  world = await HubWorld.open({
    settings: {
      workloads: { trustDomain: 'plant.example', certificateSeconds: 600 },
      publicUrl: 'http://hub.example/',
    },
  });
  await world.operator.send('POST', '/v1/groups', { name: 'software', filter: 'tier==software' }, groupView);
  for (const name of ['vision', 'torque']) {
    await world.operator.send('POST', '/v1/workloads', { name, group: 'software' }, declarationView);
  }
});
after(async () => {
  await world?.[Symbol.asyncDispose]();
  if (folder !== '') await rm(folder, { recursive: true });
});

const workloads = [{ name: 'vision' }, { name: 'torque', socketMode: 'group' as const }];
const credentialSchema = z.object({
  spiffeId: z.string(),
  certificateChain: z.string(),
  privateKey: z.string().optional(),
  trustBundle: z.string(),
  notAfter: z.number(),
});
type Credential = z.infer<typeof credentialSchema>;

const socketOf = (device: TestAgent, name: string) => join(device.stateFolder, 'run', `workload-${name}.sock`);

async function get(socketPath: string, path: string): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      text(response).then((body) => resolve({ status: response.statusCode ?? 0, body }), reject);
    });
    sent.once('error', reject);
    sent.end();
  });
}

async function credentialOf(device: TestAgent, name: string, query = ''): Promise<Credential> {
  const { status, body } = await get(socketOf(device, name), `/certificate${query}`);
  assert.equal(status, 200, body);
  return credentialSchema.parse(JSON.parse(body));
}

const openssl = (...args: readonly string[]) => runProgram(folder, 'openssl', ...args);

/** Leaf and issuer in separate files, as openssl takes them. */
async function keepFiles(name: string, { certificateChain, privateKey = '', trustBundle }: Credential): Promise<void> {
  const [leaf = '', issuer = ''] = certificateChain.split(/(?<=-----END CERTIFICATE-----\n)/);
  for (const [kind, pem] of Object.entries({ leaf, issuer, key: privateKey, bundle: trustBundle }))
    await writeFile(join(folder, `${name}.${kind}.pem`), pem);
}

test(
  'a program asks the agent, proves itself to another one, and is believed no more once its device is cut off',
  {
    skip,
  },
  async (t) => {
    await using device = await TestAgent.prepare(world, 'press-1', { workloads });
    const story = await device.start();
    await story.next('workload-certified');
    await story.next('workload-certified');
    const vision = await credentialOf(device, 'vision');
    const torque = await credentialOf(device, 'torque');
    await keepFiles('vision', vision);
    await keepFiles('torque', torque);

    await t.test('each has its own id, key and socket, and no key is on the disk', async () => {
      assert.equal(vision.spiffeId, 'spiffe://plant.example/device/press-1/workload/vision');
      assert.equal(torque.spiffeId, 'spiffe://plant.example/device/press-1/workload/torque');
      assert.notEqual(vision.privateKey, torque.privateKey);
      assert.equal((await stat(socketOf(device, 'vision'))).mode & 0o777, 0o600);
      assert.equal((await stat(socketOf(device, 'torque'))).mode & 0o777, 0o660);
      const entries = await readdir(device.stateFolder, { recursive: true, withFileTypes: true });
      const [, line = ''] = vision.privateKey?.split('\n') ?? [];
      for (const entry of entries.filter((each) => each.isFile()))
        assert.ok(!(await readFile(join(entry.parentPath, entry.name))).includes(line), entry.name);
      assert.equal((await get(socketOf(device, 'vision'), '/bundle')).body, vision.trustBundle);
    });

    await t.test('openssl sees an X.509-SVID under the bundle', async () => {
      const shown = await openssl('x509', '-in', 'vision.leaf.pem', '-noout', '-text');
      assert.match(shown.out, /URI:spiffe:\/\/plant\.example\/device\/press-1\/workload\/vision/);
      assert.match(shown.out, /TLS Web Server Authentication, TLS Web Client Authentication/);
      assert.match(shown.out, /CA:FALSE/);
      for (const purpose of ['sslclient', 'sslserver']) {
        const chain = ['-CAfile', 'vision.bundle.pem', '-untrusted', 'vision.issuer.pem', 'vision.leaf.pem'];
        const verified = await openssl('verify', '-x509_strict', '-purpose', purpose, ...chain);
        assert.equal(verified.status, 0, verified.out);
      }
    });

    await t.test('two workloads prove themselves to each other, and nobody else gets in', async () => {
      await using server = createServer({
        key: vision.privateKey,
        cert: vision.certificateChain,
        ca: vision.trustBundle,
        requestCert: true,
        rejectUnauthorized: true,
        minVersion: 'TLSv1.3',
      });
      server.on('secureConnection', (socket: TLSSocket) => {
        socket.on('error', () => undefined);
        socket.end(`hello ${socket.getPeerCertificate().subjectaltname ?? 'nobody'}\n`);
      });
      server.on('tlsClientError', () => undefined);
      server.listen(0, '127.0.0.1');
      await once(server, 'listening');
      const address = server.address();
      const port = typeof address === 'object' && address !== null ? address.port : 0;
      const connect = (...args: readonly string[]) =>
        openssl(
          's_client',
          '-connect',
          `127.0.0.1:${port}`,
          '-CAfile',
          'torque.bundle.pem',
          '-verify_return_error',
          '-ign_eof',
          ...args,
        );
      const own = ['-cert', 'torque.leaf.pem', '-cert_chain', 'torque.issuer.pem', '-key', 'torque.key.pem'];
      const met = await connect(...own);
      assert.match(met.out, /hello URI:spiffe:\/\/plant\.example\/device\/press-1\/workload\/torque/);
      assert.match(met.out, /Verify return code: 0/);
      assert.doesNotMatch((await connect()).out, /hello/);
    });

    await t.test('a program keeps its key to itself and gets a certificate for it', async () => {
      const made = await openssl(
        'req',
        '-new',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-keyout',
        'own.key',
        '-subj',
        '/CN=whoever',
        '-outform',
        'DER',
        '-out',
        'own.der',
      );
      assert.equal(made.status, 0, made.out);
      const asked = (await readFile(join(folder, 'own.der'))).toString('base64url');
      const answer = await credentialOf(device, 'vision', `?request=${asked}`);
      assert.equal(answer.privateKey, undefined);
      assert.equal(answer.spiffeId, vision.spiffeId);
      await writeFile(join(folder, 'own.pem'), answer.certificateChain);
      const [ofKey, ofCertificate] = await Promise.all([
        openssl('pkey', '-in', 'own.key', '-pubout'),
        openssl('x509', '-in', 'own.pem', '-noout', '-pubkey'),
      ]);
      assert.equal(ofKey.out, ofCertificate.out);
      for (const [path, status] of [
        ['/certificate?request=AAAA', 400],
        ['/certificate?request=%2B', 400],
        ['/certificate?request=AAAA&request=AAAA', 404],
        ['/nothing', 404],
      ] as const)
        assert.equal((await get(socketOf(device, 'vision'), path)).status, status, path);
    });

    await t.test('a workload that is disabled loses its certificate alone', async () => {
      const path = '/v1/devices/press-1/workloads/torque/disable';
      await world.operator.send('POST', path, { reason: 'a test' }, workloadSwitched);
      assert.match(await verify('torque'), /certificate revoked/);
      assert.match(await verify('vision'), /: OK/);
    });

    // SECURITY.md: HUB-03
    await t.test('a device that is cut off takes its workloads along, and gets new ones when it is back', async () => {
      await world.setState('press-1', 'quarantine');
      assert.match(await verify('vision'), /certificate revoked/);
      await story.next('refused');
      assert.equal((await get(socketOf(device, 'vision'), '/certificate')).status, 503);
      await world.setState('press-1', 'release');
      await story.next('workload-certified');
      await keepFiles('again', await credentialOf(device, 'vision'));
      assert.match(await verify('again'), /: OK/);
      assert.match(await verify('vision'), /certificate revoked/);
      const { body, status } = await get(socketOf(device, 'torque'), '/certificate');
      assert.equal(status, 503);
      assert.match(body, /disabled: a test/);
      const { workloads: all } = await world.operator.get('/v1/devices/press-1/workloads', deviceWorkloadList);
      assert.deepEqual(
        all.map(({ name, enabled, declaredFor }) => [name, enabled, declaredFor.join()]),
        [
          ['torque', false, 'software'],
          ['vision', true, 'software'],
        ],
      );
    });
  },
);

/** How openssl judges a certificate under the bundle and the hub's newest list. */
async function verify(name: string): Promise<string> {
  const { issuing } = await world.operator.get('/v1/authorities', authorityOverview);
  const workloadsCa = issuing.find((each) => each.class === 'workload')?.id ?? '';
  const list = await world.operator.getBytes(`/crl/${workloadsCa}`);
  await writeFile(join(folder, 'list.der'), list);
  await openssl('crl', '-inform', 'DER', '-in', 'list.der', '-out', 'list.pem');
  const chain = ['-CAfile', `${name}.bundle.pem`, '-untrusted', `${name}.issuer.pem`, `${name}.leaf.pem`];
  return (await openssl('verify', '-crl_check', '-CRLfile', 'list.pem', ...chain)).out;
}

test('what the hub does not declare is refused, told once, and the agent goes on', { skip }, async () => {
  await using device = await TestAgent.prepare(world, 'press-3', {
    workloads: [{ name: 'audio' }, { name: 'vision' }],
  });
  const story = await device.start();
  const refused = await story.next('refused');
  assert.equal(refused.step, 'workload audio');
  await story.next('workload-certified');
  const { status, body } = await get(socketOf(device, 'audio'), '/certificate');
  assert.equal(status, 503);
  assert.match(body, /not declared/);
});

// Last, because it sets the hub's clock ahead of the one that TLS uses.
test('a certificate is renewed at two thirds of its life, before it ends', { skip }, async () => {
  await using device = await TestAgent.prepare(world, 'press-2', { workloads: [{ name: 'vision' }] });
  const story = await device.start({ random: () => 0.5 });
  const { notAfter } = await story.next('workload-certified');
  world.clock.advanceSeconds(405);
  const renewed = await story.next('workload-certified');
  assert.ok(renewed.notAfter > notAfter);
  assert.equal((await credentialOf(device, 'vision')).notAfter, renewed.notAfter);
});
