// A hub that has one issuing CA for everything gets one for each class under agents that keep working; none is lost, and afterwards the old CA
// makes no hub any more.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import { toHex } from '@edgekeep/core/bytes';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import { issueCertificate } from '@edgekeep/core/identity/issue';
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import { encodeCertId, issuerHashesOf } from '@edgekeep/core/identity/ocsp-request';
import { encodeOcspResponse } from '@edgekeep/core/identity/ocsp-response';
import { encodePem } from '@edgekeep/core/identity/pem';
import { ocspResponderProfile, serverProfile } from '@edgekeep/core/identity/profile';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { signerFromKey } from '@edgekeep/core/signer';
import { alertList } from '@edgekeep/wire/api/alert';
import { authorityOverview, issuingRequestResponse } from '@edgekeep/wire/api/authority';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import type { TlsClientCredential } from '@edgekeep/wire/link/tls';
import { closeAll } from '../support/closing.ts';
import { openFalseHub } from '../support/false-hub.ts';
import { authorityOf, credentialUnder } from '../support/hub-authority.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { type Story, TestAgent } from '../support/test-agent.ts';
import { changeStore } from '../support/edited-store.ts';

const daySeconds = 86_400;
const askAgainSeconds = 601;
let world: HubWorld;
let root: OfflineRoot;
let awake: TestAgent;
let asleep: TestAgent;
let story: Story;
/** A server's certificate for the hub's name, by the CA for everything. */
let stolen: TlsClientCredential;

before(async () => {
  const settings = { certificateSeconds: 31 * daySeconds };
  world = await HubWorld.open({ settings, generalAuthority: true, aheadSeconds: -30 * daySeconds });
  root = await OfflineRoot.open(join(world.folder, 'root'), world.clock.now);
  const names = { dnsNames: ['localhost'], ipAddresses: [] };
  const general = await authorityOf(world, 'general');
  stolen = await credentialUnder(general, (...to) => serverProfile(...to, names));
  awake = await TestAgent.prepare(world, 'awake');
  asleep = await TestAgent.prepare(world, 'asleep');
  story = await awake.start();
  await story.next('connected');
  await (await asleep.start()).next('connected');
  await asleep.stop();
});
after(() => closeAll(world, asleep, awake));

const send = <T>(path: string, body: object, schema: Parameters<typeof world.operator.send<T>>[3]) =>
  world.operator.send('POST', `/v1/authorities/${path}`, body, schema);
const issuing = async () => (await world.operator.get('/v1/authorities', authorityOverview)).issuing;
const statuses = async () => (await issuing()).map((each) => `${each.class} ${each.status}`).toSorted();
const standing = async () => (await world.operator.get('/v1/alerts?kind=general-authority', alertList)).alerts.length;

/** `edgekeep authority …` with this hub: exit code and text. */
async function authority(...words: readonly string[]): Promise<{ readonly code: unknown; readonly text: string }> {
  const main = join(import.meta.dirname, '../../cli/src/main.ts');
  const args = [main, 'authority', ...words, '--operator', world.operatorFile];
  return new Promise((resolve) => {
    execFile(process.execPath, args, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : error.code, text: stdout + stderr }),
    );
  });
}

/** Whether a client that knows what `generalAuthority` says takes the holder of the old CA's key for the hub. */
async function believesThief(generalAuthority: 'accepted' | 'refused'): Promise<boolean> {
  await using server = await openFalseHub(stolen);
  const where = { host: '127.0.0.1', port: server.port, serverName: 'localhost' };
  const connecting = HubConnection.open({ ...where, authoritiesPem: [root.pem], generalAuthority });
  return await connecting.then(
    async (connection) => {
      await connection[Symbol.asyncDispose]();
      return true;
    },
    (error: unknown) => {
      lastRefusal = String(error);
      return false;
    },
  );
}
let lastRefusal = '';

/** As an agent of the version before: OpenSSL and the names, no class. */
async function formerAgentConnects(): Promise<boolean> {
  return new Promise((resolve) => {
    const to = { ...world.hub.deviceAddress, ca: root.pem, servername: 'localhost' };
    const socket = connect(to, () => {
      resolve(socket.authorized);
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
  });
}

const knownBy = async (agent: TestAgent): Promise<unknown> =>
  JSON.parse(await readFile(join(agent.stateFolder, 'known-roots.json'), 'utf8').catch(() => '{}')).generalRefused;

test('before: `authority pending` says what the root has to sign, an alert does, and agents accept the one CA', async () => {
  assert.deepEqual(await statuses(), ['general active']);
  const { code, text } = await authority('pending');
  assert.equal(code, 1, text);
  assert.match(text, /no issuing CA for server, device, workload alone/);
  assert.equal(await standing(), 1);
  assert.equal(await believesThief('accepted'), true, lastRefusal);
});

test('one ceremony: three requests in one file, three certificates in another, and each class moves alone', async () => {
  const file = join(world.folder, 'issuing.csr');
  assert.equal((await authority('request', '--out', file)).code, 0);
  const requests = await readFile(file, 'utf8');
  assert.equal(requests.match(/BEGIN CERTIFICATE REQUEST/g)?.length, 3);
  const waiting = await authority('pending');
  for (const each of ['servers', 'devices', 'workloads'])
    assert.match(waiting.text, new RegExp(`for ${each} [0-9a-f]{40} waits for the root`));
  const signed = join(world.folder, 'issuing.pem');
  await writeFile(signed, await root.signIssuing(requests));
  assert.equal((await authority('install', signed)).code, 0);
  const idOf = async (wanted: IssuedClass) => (await issuing()).find((each) => each.class === wanted)?.id ?? '';
  assert.equal((await authority('activate', await idOf('server'))).code, 0);
  assert.deepEqual(await statuses(), ['device next', 'general active', 'server active', 'workload next']);
  assert.equal((await authority('activate', await idOf('workload'), await idOf('device'))).code, 0);
  assert.deepEqual(await statuses(), ['device active', 'general retiring', 'server active', 'workload active']);
  const list = await authority('list');
  assert.match(list.text, /issuing CA for servers[\s\S]*active/);
  assert.equal((await authority('pending')).code, 0);
  assert.equal(await standing(), 0);
});

test('a request from before there were classes is not signed into the place of the three', async () => {
  const { id, request } = await send('request', { classes: ['device'] }, issuingRequestResponse);
  await send('install', { certificates: await root.signIssuing(request) }, authorityOverview);
  const set = (column: string, value: string) =>
    changeStore(world.place, `update issuing_authority set ${column} = ? where id = ?`, value, id);
  await set('class', 'general');
  await assert.rejects(send(`issuing/${id}/activate`, {}, authorityOverview), /CAs of one class each/);
  await set('status', 'abandoned');
});

test('meanwhile no device is lost: one that works, one that slept, and one of the version before', async () => {
  world.clock.advanceSeconds(25 * daySeconds);
  await story.next('certificate-renewed');
  const woken = await asleep.start();
  await woken.next('recovered');
  await woken.next('connected');
  assert.equal(await formerAgentConnects(), true);
  assert.equal(await believesThief('accepted'), true);
  assert.notEqual(await knownBy(awake), true, 'refused while devices still have its certificates');
});

// SECURITY.md: HUB-65
test('when its last certificate has ended the old CA retires, and agents refuse what it signs for ever', async () => {
  world.clock.advanceSeconds(6 * daySeconds);
  await world.hub.sweepAuthorities();
  assert.ok((await statuses()).includes('general retired'));
  world.clock.advanceSeconds(askAgainSeconds);
  await story.next('servers-authority-required');
  assert.equal(await knownBy(awake), true);
  assert.equal(await believesThief('refused'), false);
  assert.match(lastRefusal, /not a CA for servers/);
});

const skip = spawnSync('openssl', ['version']).error === undefined ? false : 'openssl is not installed';

// SECURITY.md: HUB-66
test('openssl believes a responder of the certificate’s own CA, and none of a sister CA', { skip }, async () => {
  await using fresh = await HubWorld.open();
  const file = async (name: string, ...certificates: readonly Certificate[]) => {
    const path = join(fresh.folder, name);
    await writeFile(path, certificates.map(({ der }) => encodePem('CERTIFICATE', der)).join(''));
    return path;
  };
  const rootFile = join(fresh.folder, 'root/root.pem');
  const [servers, devices] = [await authorityOf(fresh, 'server'), await authorityOf(fresh, 'device')];
  const { raw } = await new Promise<{ readonly raw: Uint8Array }>((resolve, reject) => {
    const to = { ...fresh.hub.deviceAddress, ca: fresh.hub.rootPem, servername: 'localhost' };
    const socket = connect(to, () => {
      resolve(socket.getPeerCertificate());
      socket.destroy();
    });
    socket.once('error', reject);
  });
  const leaf = parseCertificate(raw);
  const names = ['-issuer', await file('servers.pem', servers.certificate), '-cert', await file('leaf.pem', leaf)];
  const asked = [...names, '-no_nonce', '-reqout', join(fresh.folder, 'question.der')];
  assert.equal(spawnSync('openssl', ['ocsp', ...asked]).status, 0);
  const body = await readFile(join(fresh.folder, 'question.der'));
  const answer = await fresh.askOperator('POST', '/ocsp', { body, contentType: 'application/ocsp-request' });
  const verdict = async (der: Uint8Array) => {
    await writeFile(join(fresh.folder, 'answer.der'), der);
    const others = await file('others.pem', servers.certificate, devices.certificate);
    const trust = ['-CAfile', rootFile, '-verify_other', others];
    const args = ['ocsp', ...names, '-no_nonce', '-respin', join(fresh.folder, 'answer.der'), ...trust];
    return spawnSync('openssl', args, { encoding: 'utf8' });
  };
  const own = await verdict(answer.body);
  assert.match(own.stdout + own.stderr, /leaf\.pem: good[\s\S]*Response verify OK/);
  const nowSeconds = Math.floor(Date.now() / 1_000);
  for (const [responding, says] of [
    [servers, /Response verify OK/],
    [devices, /Response Verify Failure/],
  ] as const) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const period = { notBeforeSeconds: nowSeconds - 60, notAfterSeconds: nowSeconds + 3_600 };
    const input = { spki: encodeSpki(publicKey), serialRandom: randomBytes(16), ...period };
    const template = ocspResponderProfile(input, responding.certificate, commonNameOnly('responder'));
    const responder = parseCertificate(await issueCertificate(template, responding.signer));
    const certId = encodeCertId('sha1', issuerHashesOf(servers.certificate, 'sha1'), leaf.serial);
    const times = { thisUpdateSeconds: nowSeconds - 5, nextUpdateSeconds: nowSeconds + 600, nonce: undefined };
    const made = { statuses: [[certId, { kind: 'good' }]], ...times } as const;
    const { stdout, stderr } = await verdict(await encodeOcspResponse(made, responder, signerFromKey(privateKey)));
    assert.match(stdout + stderr, says, toHex(responder.serial));
  }
});
