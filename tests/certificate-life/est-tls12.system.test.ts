// EST for gateways that have TLS 1.2 only (spec/est.md, "Gateways with TLS 1.2"): the listener of its own, with strongSwan's client, curl and
// openssl.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { z } from 'zod';
import { HubWorld } from '../support/hub-world.ts';
import { runProgram } from '../support/run-program.ts';

const missing = ['curl', 'openssl'].find((program) => spawnSync(program, ['version']).error !== undefined);
const skip = missing === undefined || process.env['CI'] === 'true' ? false : `${missing} is not installed`;
const withoutPki = spawnSync('pki', ['--help']).error !== undefined;
const skipPki = skip === false && withoutPki && process.env['CI'] !== 'true' ? "no pki: install strongSwan's" : skip;

let world: HubWorld;
let folder = '';
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-est12-'));
  world = await HubWorld.open({ settings: { estForGateways: { enabled: true, port: 0 } } });
  await writeFile(join(folder, 'root.pem'), world.hub.rootPem);
});
after(async () => {
  await world?.[Symbol.asyncDispose]();
  if (folder !== '') await rm(folder, { recursive: true });
});

const run = (program: string, ...args: readonly string[]) => runProgram(folder, program, ...args);

async function succeeding(program: string, ...args: readonly string[]): Promise<string> {
  const { status, out } = await run(program, ...args);
  assert.equal(status, 0, out);
  return out;
}

function address(): { readonly host: string; readonly port: number } {
  const { estAddress } = world.hub;
  assert.ok(estAddress !== undefined);
  return estAddress;
}

const place = () => `localhost:${address().port}`;
const curl = (path: string, ...args: readonly string[]) =>
  run('curl', '-sS', '--tls-max', '1.2', '--cacert', 'root.pem', ...args, `https://${place()}${path}`);

/** A key and a request of `pki`, as its manual shows it. */
async function pkiRequest(name: string): Promise<void> {
  const generate = `pki --gen --type ecdsa --size 256 --outform pem > ${name}.key`;
  const request = `pki --req --type priv --in ${name}.key --dn CN=${name} --outform der > ${name}.req`;
  for (const line of [generate, request]) await succeeding('sh', '-c', line);
}

test("strongSwan's client takes the authorities, enrolls and renews", { skip: skipPki }, async (t) => {
  const url = `https://${place()}`;
  await t.test('pki --estca', async () => {
    const line = `pki --estca --debug 2 --url ${url} --cacert root.pem --caout ca.pem --outform pem --force`;
    console.error(await succeeding('sh', '-c', line));
    const found = await succeeding('sh', '-c', 'cat ca*.pem');
    assert.ok(found.includes(world.hub.rootPem.trim()));
    console.error(
      await succeeding(
        'sh',
        '-c',
        'ls -la; for i in ca*.pem; do openssl x509 -in $i -noout -subject; grep -c BEGIN $i; done',
      ),
    );
  });
  await pkiRequest('gate-1');
  const token = await world.enrollmentToken({ deviceId: 'gate-1', tier: 'software' });
  const authorities = '--cacert root.pem $(for each in ca*.pem; do echo --cacert $each; done)';
  await t.test('pki --est with a token', async () => {
    const line = `pki --est --url ${url} ${authorities} --in gate-1.req --userpass gate-1:${token} --outform pem > gate-1.pem`;
    await succeeding('sh', '-c', line);
    assert.match(await succeeding('openssl', 'x509', '-in', 'gate-1.pem', '-noout', '-subject'), /CN = gate-1/);
    // strongSwan reads no addresses in name constraints, and leaves out the CA of devices: curl fetches it.
    assert.equal((await curl('/.well-known/est/cacerts', '-o', 'cacerts')).status, 0);
    await succeeding('openssl', 'base64', '-d', '-A', '-in', 'cacerts', '-out', 'all.p7');
    await succeeding('openssl', 'pkcs7', '-inform', 'DER', '-in', 'all.p7', '-print_certs', '-out', 'all.pem');
    await succeeding('openssl', 'verify', '-CAfile', 'root.pem', '-untrusted', 'all.pem', 'gate-1.pem');
  });
  await t.test('pki --est with the certificate, for the next one', async () => {
    const next = 'pki --gen --type ecdsa --size 256 --outform pem > next.key';
    const request = 'pki --req --type priv --in next.key --dn CN=gate-1 --outform der > next.req';
    const renew = `pki --est --url ${url} ${authorities} --in next.req --cert gate-1.pem --key gate-1.key --outform pem > next.pem`;
    for (const line of [next, request, renew]) await succeeding('sh', '-c', line);
    assert.match(await succeeding('openssl', 'x509', '-in', 'next.pem', '-noout', '-subject'), /CN = gate-1/);
  });
  await t.test('the device has the least tier, and the log says how it came', async () => {
    const device = await world.device('gate-1');
    assert.deepEqual([device.tier, device.state], ['software', 'registered']);
    const [entry] = await world.entries('device-enrolled');
    const { by, tls } = z.looseObject({ by: z.string(), tls: z.string() }).parse(entry?.data);
    assert.deepEqual([by, tls], ['est', '1.2']);
  });
});

test('curl and openssl enroll and renew with TLS 1.2', { skip }, async () => {
  await succeeding('openssl', 'ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', 'pump.key');
  await succeeding('openssl', 'req', '-new', '-key', 'pump.key', '-subj', '/CN=pump-1', '-outform', 'DER', '-out', 'r');
  await succeeding('openssl', 'base64', '-in', 'r', '-out', 'r.b64');
  const token = await world.enrollmentToken({ deviceId: 'pump-1', tier: 'software' });
  const request = [
    '-H',
    'content-type: application/pkcs10',
    '--data-binary',
    '@r.b64',
    '-o',
    'body',
    '-w',
    '%{http_code}',
  ];
  const enrolled = await curl('/.well-known/est/simpleenroll', '-u', `pump-1:${token}`, ...request);
  assert.equal(enrolled.out, '200');
  await succeeding('openssl', 'base64', '-d', '-A', '-in', 'body', '-out', 'pump.p7');
  await succeeding('openssl', 'pkcs7', '-inform', 'DER', '-in', 'pump.p7', '-print_certs', '-out', 'pump.pem');
  const mutual = ['--cert', 'pump.pem', '--key', 'pump.key'];
  const renewed = await curl('/.well-known/est/simplereenroll', ...mutual, ...request);
  assert.equal(renewed.out, '200');
});

// SECURITY.md: DEV-80
test('nothing but EST is there, and no device binds a connection there', { skip }, async (t) => {
  const status = async (...args: readonly string[]) => (await curl('/v1/bind', '-w', '%{http_code}', ...args)).out;
  for (const [path, body] of [
    ['/v1/bind', '{}'],
    ['/v1/enrollments', '{}'],
    ['/v1/challenges', '{}'],
    ['/v1/recover', '{}'],
    ['/v1/token/key', '{}'],
  ] as const) {
    await t.test(path, async () => {
      const args = ['-o', '/dev/null', '-w', '%{http_code}', '-H', 'content-type: application/json', '-d', body];
      assert.equal((await curl(path, ...args)).out, '404');
    });
  }
  assert.deepEqual(
    world.hub.routes.est.map(({ url }) => url).filter((url) => !url.startsWith('/.well-known/est/')),
    [],
  );
  assert.match(await status('-o', '/dev/null'), /404/);
});

// SECURITY.md: DEV-80
test('the handshake has forward secrecy and authenticated encryption, or there is none', { skip }, async (t) => {
  const handshake = async (...args: readonly string[]) =>
    run('openssl', 's_client', '-connect', place(), '-CAfile', 'root.pem', '-brief', ...args);
  const suites = ['ECDHE-ECDSA-AES128-GCM-SHA256', 'ECDHE-ECDSA-AES256-GCM-SHA384', 'ECDHE-ECDSA-CHACHA20-POLY1305'];
  for (const suite of suites) {
    await t.test(suite, async () => {
      const { out } = await handshake('-tls1_2', '-cipher', suite);
      assert.match(out, new RegExp(`Protocol version: TLSv1\\.2[\\s\\S]*Ciphersuite: ${suite}`));
    });
  }
  const refused = {
    'CBC with forward secrecy': ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA'],
    'RSA signatures': ['-tls1_2', '-cipher', 'ECDHE-RSA-AES128-GCM-SHA256'],
    'no forward secrecy': ['-tls1_2', '-cipher', 'AES128-GCM-SHA256:AES256-SHA'],
    'TLS 1.1': ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0'],
  };
  for (const [title, args] of Object.entries(refused)) {
    await t.test(title, async () => {
      const { status, out } = await handshake(...args);
      assert.notEqual(status, 0);
      assert.match(out, /handshake failure|protocol version|no ciphers available|no protocols available/i);
    });
  }
  await t.test('a client that has TLS 1.3 gets it', async () => {
    assert.match((await handshake()).out, /Protocol version: TLSv1\.3/);
  });
  await t.test('no session is resumed', async () => {
    const { out } = await run(
      'sh',
      '-c',
      `echo | openssl s_client -connect ${place()} -CAfile root.pem -tls1_2 -reconnect`,
    );
    assert.match(out, /New, TLSv1\.2/);
    assert.doesNotMatch(out, /Reused/);
  });
  await t.test('no renegotiation', async () => {
    const { out } = await run(
      'sh',
      '-c',
      `(echo R; sleep 1) | openssl s_client -connect ${place()} -CAfile root.pem -tls1_2`,
    );
    assert.match(out, /RENEGOTIATING[\s\S]*no renegotiation/);
  });
});

test('without the setting there is no such listener, and the device listener has TLS 1.3 alone', { skip }, async () => {
  await using plain = await HubWorld.open();
  assert.equal(plain.hub.estAddress, undefined);
  const { port } = plain.hub.deviceAddress;
  const { status, out } = await run('openssl', 's_client', '-connect', `localhost:${port}`, '-tls1_2', '-brief');
  assert.notEqual(status, 0);
  assert.match(out, /protocol version/);
});
