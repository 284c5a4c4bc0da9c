// EST with curl and openssl alone, as a device without our agent does it (spec/est.md).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { enrollmentGroupView, groupTokenResponse } from '@edgekeep/wire/api/enrollment-group';
import { stateResponse } from '@edgekeep/wire/api/device-view';
import { certificateList, expiry, revocationResponse } from '@edgekeep/wire/api/revocation';
import { HubWorld } from '../support/hub-world.ts';
import { runProgram } from '../support/run-program.ts';
import { TestDevice } from '../support/test-device.ts';

const missing = ['curl', 'openssl'].find((program) => spawnSync(program, ['version']).error !== undefined);
const skip = missing === undefined || process.env['CI'] === 'true' ? false : `${missing} is not installed`;

const hasPython = spawnSync('python3', ['--version']).error === undefined;
const skipPython = skip === false && !hasPython && process.env['CI'] !== 'true' ? 'python3 is not installed' : skip;

let world: HubWorld;
let folder = '';
before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-est-'));
  world = await HubWorld.open({ settings: { publicUrl: 'http://hub.plant.example/status/' } });
  await writeFile(join(folder, 'root.pem'), world.hub.rootPem);
});
after(async () => {
  await world?.[Symbol.asyncDispose]();
  if (folder !== '') await rm(folder, { recursive: true });
});

const run = (program: string, ...args: readonly string[]) => runProgram(folder, program, ...args);

async function openssl(...args: readonly string[]): Promise<string> {
  const { status, out } = await run('openssl', ...args);
  assert.equal(status, 0, out);
  return out;
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly headers: string;
  readonly body: string;
}

/** curl against a path below the well-known address. */
async function curl(path: string, ...args: readonly string[]): Promise<Reply> {
  const { port } = world.hub.deviceAddress;
  const url = `https://localhost:${port}/.well-known/est/${path}`;
  const written = ['-w', '%{http_code} %{content_type}', '-D', 'headers', '-o', 'body'];
  await rm(join(folder, 'body'), { force: true });
  const { out } = await run(
    'curl',
    '-sS',
    '--cacert',
    'root.pem',
    '--resolve',
    `localhost:${port}:127.0.0.1`,
    ...written,
    ...args,
    url,
  );
  const [, status = '0', type = ''] = /(\d{3}) ?(.*)$/s.exec(out) ?? [];
  const read = async (name: string) => (existsSync(join(folder, name)) ? readFile(join(folder, name), 'utf8') : '');
  return { status: Number(status), type, headers: await read('headers'), body: await read('body') };
}

async function newKey(name: string, subject: string, ...more: readonly string[]): Promise<void> {
  await openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`);
  await openssl(
    'req',
    '-new',
    '-key',
    `${name}.key`,
    '-subj',
    subject,
    ...more,
    '-outform',
    'DER',
    '-out',
    `${name}.der`,
  );
  await openssl('base64', '-in', `${name}.der`, '-out', `${name}.b64`);
}

const post = (name: string, type = 'application/pkcs10') => [
  '-H',
  `content-type: ${type}`,
  '--data-binary',
  `@${name}.b64`,
];
const mutual = (name: string) => ['--cert', `${name}.pem`, '--key', `${name}.key`];

/** The certificate in the last body, as NAME.pem. */
async function keepCertificate(name: string): Promise<void> {
  await openssl('base64', '-d', '-A', '-in', 'body', '-out', `${name}.p7`);
  await openssl('pkcs7', '-inform', 'DER', '-in', `${name}.p7`, '-print_certs', '-out', `${name}.pem`);
}

const refusal = (reply: Reply): string => String(JSON.parse(reply.body).error?.code);

async function enroll(name: string): Promise<void> {
  await newKey(name, `/CN=${name}`);
  const token = await world.enrollmentToken({ deviceId: name, tier: 'software' });
  const reply = await curl('simpleenroll', '-u', `${name}:${token}`, ...post(name));
  assert.equal(reply.status, 200, reply.body);
  await keepCertificate(name);
}

test('the authorities come as certificates in CMS, to anybody', { skip }, async () => {
  const reply = await curl('cacerts');
  assert.equal(reply.status, 200);
  assert.equal(reply.type, 'application/pkcs7-mime');
  assert.match(reply.headers, /content-transfer-encoding: base64/i);
  await keepCertificate('authorities');
  const subjects = await openssl('crl2pkcs7', '-nocrl', '-certfile', 'authorities.pem', '-out', 'again.p7');
  assert.equal(subjects, '');
  const pem = await readFile(join(folder, 'authorities.pem'), 'utf8');
  assert.equal(pem.split('BEGIN CERTIFICATE').length - 1, 4);
  assert.match(pem, /CN ?= ?Edgekeep root/);
  for (const each of ['servers', 'devices', 'workloads']) assert.match(pem, new RegExp(`CN ?= ?Edgekeep ${each} CA`));
});

test('the attributes for requests are ASN.1 that openssl reads', { skip }, async () => {
  const reply = await curl('csrattrs');
  assert.equal(reply.type, 'application/csrattrs');
  await openssl('base64', '-d', '-A', '-in', 'body', '-out', 'attributes.der');
  const parsed = await openssl('asn1parse', '-inform', 'DER', '-in', 'attributes.der');
  assert.match(parsed, /id-ecPublicKey[\s\S]*prime256v1|ecdsa-with-SHA256/);
});

test('enroll, use the certificate, enroll again with a new key, be refused after revocation', { skip }, async (t) => {
  await t.test('a token gives a certificate that openssl verifies up to the root', async () => {
    await enroll('pump-1');
    await openssl('verify', '-CAfile', 'authorities.pem', '-purpose', 'sslclient', 'pump-1.pem');
    const shown = await openssl('x509', '-in', 'pump-1.pem', '-noout', '-text');
    assert.match(shown, /URI:urn:edgekeep:device:pump-1/);
    assert.match(shown, /URI:http:\/\/hub\.plant\.example\/status\/crl/);
    assert.match(shown, /OCSP - URI:http:\/\/hub\.plant\.example\/status\/ocsp/);
  });
  await t.test('the device is in the registry with the lowest tier, never attested', async () => {
    const device = await world.device('pump-1');
    assert.equal(device.tier, 'software');
    assert.equal(device.state, 'registered');
    assert.equal(device.appraisal, null);
    const [entry] = await world.entries('device-enrolled');
    assert.equal(entry?.subject, 'device:pump-1');
  });
  await t.test('the certificate with a new key gives the next certificate, and the old one still works', async () => {
    await newKey('pump-1b', '/CN=pump-1');
    const reply = await curl('simplereenroll', ...mutual('pump-1'), ...post('pump-1b'));
    assert.equal(reply.status, 200, reply.body);
    assert.equal(reply.type, 'application/pkcs7-mime; smime-type=certs-only');
    await keepCertificate('pump-1b');
    assert.notEqual(
      await readFile(join(folder, 'pump-1b.pem'), 'utf8'),
      await readFile(join(folder, 'pump-1.pem'), 'utf8'),
    );
    assert.equal((await curl('cacerts', ...mutual('pump-1'))).status, 200);
    assert.equal((await curl('cacerts', ...mutual('pump-1b'))).status, 200);
  });
  await t.test('simpleenroll with the certificate instead of a token does the same', async () => {
    await newKey('pump-1c', '/CN=pump-1', '-addext', 'subjectAltName=URI:urn:edgekeep:device:pump-1');
    const reply = await curl('simpleenroll', ...mutual('pump-1b'), ...post('pump-1c'));
    assert.equal(reply.status, 200, reply.body);
  });
  await t.test('another name or alternative name is refused', async () => {
    await newKey('pump-other', '/CN=pump-2');
    const other = await curl('simplereenroll', ...mutual('pump-1b'), ...post('pump-other'));
    assert.deepEqual([other.status, refusal(other)], [403, 'renewal-refused']);
    await newKey('pump-alt', '/CN=pump-1', '-addext', 'subjectAltName=URI:urn:edgekeep:device:pump-2');
    const alternative = await curl('simplereenroll', ...mutual('pump-1b'), ...post('pump-alt'));
    assert.deepEqual([alternative.status, refusal(alternative)], [403, 'renewal-refused']);
  });
  await t.test('after its certificate was revoked, it is refused; its other certificate is not', async () => {
    const shown = await openssl('x509', '-in', 'pump-1b.pem', '-noout', '-serial');
    const serial = shown.trim().replace('serial=', '').toLowerCase().replace(/^0+/, '');
    const order = { serials: [serial], reason: 'keyCompromise', note: 'a test' };
    const done = await world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
    assert.deepEqual([done.certificates, done.devices, done.quarantined], [1, 1, 0]);
    await newKey('pump-1d', '/CN=pump-1');
    const reply = await curl('simplereenroll', ...mutual('pump-1b'), ...post('pump-1d'));
    assert.deepEqual([reply.status, refusal(reply)], [403, 'certificate-revoked']);
    assert.equal((await curl('simplereenroll', ...mutual('pump-1'), ...post('pump-1d'))).status, 200);
  });
  await t.test('after all of the device was revoked, nothing of it is accepted', async () => {
    const order = { devices: ['pump-1'], reason: 'privilegeWithdrawn', note: 'a test' };
    const done = await world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
    assert.deepEqual([done.certificates, done.quarantined], [3, 1]);
    const reply = await curl('simplereenroll', ...mutual('pump-1'), ...post('pump-1d'));
    assert.deepEqual([reply.status, refusal(reply)], [403, 'certificate-revoked']);
    const token = await world.enrollmentToken({ deviceId: 'pump-1', tier: 'software' });
    const again = await curl('simpleenroll', '-u', `pump-1:${token}`, ...post('pump-1d'));
    assert.deepEqual([again.status, refusal(again)], [403, 'device-quarantined']);
  });
});

test('openssl agrees with the revocation list and the OCSP responder', { skip }, async (t) => {
  await enroll('good-1');
  await enroll('bad-1');
  const order = { devices: ['bad-1'], reason: 'keyCompromise', note: 'a test' };
  await world.operator.send('POST', '/v1/certificates/revoke', order, revocationResponse);
  await curl('cacerts');
  await keepCertificate('authorities');
  const { issuing } = await authorities();
  await writeFile(join(folder, 'issuing.pem'), issuing);
  const { port } = world.hub.deviceAddress;
  const fetch = async (path: string, file: string, ...args: readonly string[]) =>
    run('curl', '-sS', '-f', '--cacert', 'root.pem', ...args, '-o', file, `https://localhost:${port}${path}`);

  await t.test('openssl crl verifies the list, openssl verify -crl_check obeys it', async () => {
    await fetch('/crl', 'list.der');
    await openssl('crl', '-inform', 'DER', '-in', 'list.der', '-out', 'list.pem');
    assert.match(await openssl('crl', '-in', 'list.pem', '-CAfile', 'authorities.pem', '-noout'), /verify OK/);
    const shown = await openssl('crl', '-in', 'list.pem', '-noout', '-text');
    assert.match(shown, /Version 2/);
    assert.match(shown, /Key Compromise/);
    assert.match(shown, /CRL Number/);
    const verify = async (name: string) =>
      run(
        'openssl',
        'verify',
        '-x509_strict',
        '-crl_check',
        '-CRLfile',
        'list.pem',
        '-CAfile',
        'authorities.pem',
        `${name}.pem`,
      );
    assert.equal((await verify('good-1')).status, 0);
    assert.match((await verify('bad-1')).out, /certificate revoked/);
  });

  const ask = async (...args: readonly string[]) => {
    await rm(join(folder, 'answer.der'), { force: true });
    await openssl('ocsp', '-issuer', 'issuing.pem', ...args, '-reqout', 'question.der');
    const body = ['-H', 'content-type: application/ocsp-request', '--data-binary', '@question.der'];
    await fetch('/ocsp', 'answer.der', ...body);
    const trust = ['-CAfile', 'root.pem', '-verify_other', 'authorities.pem'];
    const issuer = ['-issuer', 'issuing.pem'];
    // With the question, openssl compares nonces; with the certificates, it shows their status. It does only one at a time.
    const nonce = await run('openssl', 'ocsp', '-reqin', 'question.der', '-respin', 'answer.der', ...trust);
    const status = await run('openssl', 'ocsp', ...issuer, '-no_nonce', ...args, '-respin', 'answer.der', ...trust);
    return { out: nonce.out + status.out };
  };
  await t.test(
    'good, revoked with its reason, and unknown, by SHA-1 and SHA-256, with and without a nonce',
    async () => {
      for (const hash of ['-sha1', '-sha256']) {
        for (const nonce of [['-no_nonce'], []]) {
          const good = await ask(...nonce, hash, '-cert', 'good-1.pem');
          assert.match(good.out, /good-1.pem: good/);
          const bad = await ask(...nonce, hash, '-cert', 'bad-1.pem');
          assert.match(bad.out, /bad-1.pem: revoked[\s\S]*Reason: keyCompromise/);
          const unknown = await ask(...nonce, hash, '-serial', '0x123456');
          assert.match(unknown.out, /0x123456: unknown/);
          for (const { out } of [good, bad, unknown]) {
            assert.match(out, /Response verify OK/);
            assert.doesNotMatch(out, /WARNING|Error/i);
          }
        }
      }
    },
  );
  await t.test('a certificate of another issuer is unknown', async () => {
    await openssl(
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-keyout',
      'x.key',
      '-subj',
      '/CN=Other',
      '-out',
      'x.pem',
    );
    await openssl('ocsp', '-issuer', 'x.pem', '-no_nonce', '-cert', 'good-1.pem', '-reqout', 'question.der');
    await fetch(
      '/ocsp',
      'answer.der',
      '-H',
      'content-type: application/ocsp-request',
      '--data-binary',
      '@question.der',
    );
    const shown = await openssl('ocsp', '-respin', 'answer.der', '-noverify', '-resp_text');
    assert.match(shown, /Cert Status: unknown/);
  });
  await t.test('a stored answer is given again by GET, and not after the next revocation', async () => {
    await openssl('ocsp', '-issuer', 'issuing.pem', '-no_nonce', '-cert', 'good-1.pem', '-reqout', 'question.der');
    const question = encodeURIComponent((await readFile(join(folder, 'question.der'))).toString('base64'));
    await fetch(`/ocsp/${question}`, 'first.der');
    await fetch(`/ocsp/${question}`, 'second.der');
    assert.deepEqual(await readFile(join(folder, 'first.der')), await readFile(join(folder, 'second.der')));
    const last = { devices: ['good-1'], reason: 'superseded', note: 'a test' };
    await world.operator.send('POST', '/v1/certificates/revoke', last, revocationResponse);
    await fetch(`/ocsp/${question}`, 'third.der');
    assert.match(await openssl('ocsp', '-respin', 'third.der', '-noverify', '-resp_text'), /Cert Status: revoked/);
  });
  await t.test('a changed answer does not verify', async () => {
    await ask('-no_nonce', '-cert', 'bad-1.pem');
    const answer = await readFile(join(folder, 'answer.der'));
    const at = Math.floor(answer.length / 4);
    answer[at] = (answer[at] ?? 0) ^ 1;
    await writeFile(join(folder, 'answer.der'), answer);
    const verdict = await run(
      'openssl',
      'ocsp',
      '-respin',
      'answer.der',
      '-issuer',
      'issuing.pem',
      '-cert',
      'bad-1.pem',
      '-CAfile',
      'root.pem',
      '-verify_other',
      'authorities.pem',
    );
    assert.doesNotMatch(verdict.out, /Response verify OK/);
  });
  await t.test('a request that cannot be read is answered as malformed', async () => {
    await writeFile(join(folder, 'question.der'), 'no request');
    await fetch(
      '/ocsp',
      'answer.der',
      '-H',
      'content-type: application/ocsp-request',
      '--data-binary',
      '@question.der',
    );
    assert.equal((await readFile(join(folder, 'answer.der'))).toString('hex'), '30030a0101');
    await fetch('/ocsp/%2b%2b', 'answer.der');
    assert.equal((await readFile(join(folder, 'answer.der'))).toString('hex'), '30030a0101');
  });
});

async function authorities(): Promise<{ readonly root: string; readonly issuing: string }> {
  const pem = await readFile(join(folder, 'authorities.pem'), 'utf8');
  const blocks = [...pem.matchAll(/subject=([^\n]*)[\s\S]*?(-----BEGIN[\s\S]*?-----END CERTIFICATE-----\n)/g)];
  const find = (name: string) => blocks.find(([, subject = '']) => subject.includes(name))?.[2] ?? '';
  return { root: find('root'), issuing: find('devices CA') };
}

test('requests that are wrong are refused by name', { skip }, async (t) => {
  await newKey('wrong', '/CN=wrong-1');
  const token = await world.enrollmentToken({ tier: 'software' });
  const expectRefusal = async (title: string, args: readonly string[], status: number, code: string) =>
    t.test(title, async () => {
      const reply = await curl('simpleenroll', ...args);
      assert.deepEqual([reply.status, refusal(reply)], [status, code], reply.body);
      if (status === 401) assert.match(reply.headers, /^www-authenticate: Basic realm=/im);
    });
  const auth = ['-u', `wrong-1:${token}`];
  await expectRefusal('without a token or certificate', post('wrong'), 401, 'token-required');
  await expectRefusal('a wrong token', ['-u', 'wrong-1:ee_nothing', ...post('wrong')], 401, 'token-refused');
  await expectRefusal(
    'a token under another user name',
    ['-u', `other:${token}`, ...post('wrong')],
    401,
    'token-refused',
  );
  const tpmOnly = await world.enrollmentToken({ tier: 'tpm' });
  await expectRefusal('a token for a TPM', ['-u', `wrong-1:${tpmOnly}`, ...post('wrong')], 401, 'token-refused');
  const elsewhere = await world.enrollmentToken({ deviceId: 'somebody' });
  await expectRefusal(
    'a token for another device',
    ['-u', `wrong-1:${elsewhere}`, ...post('wrong')],
    401,
    'token-refused',
  );
  await expectRefusal(
    'a header that is not Basic',
    ['-H', 'authorization: Bearer x', ...post('wrong')],
    400,
    'request-invalid',
  );
  await expectRefusal(
    'JSON',
    [...auth, '-H', 'content-type: application/json', '-d', '{}'],
    415,
    'media-type-unsupported',
  );
  await expectRefusal('no content type', [...auth, '-H', 'content-type:', '-d', 'x'], 415, 'media-type-unsupported');
  await expectRefusal(
    'another content type',
    [...auth, ...post('wrong', 'application/pkcs7-mime')],
    415,
    'media-type-unsupported',
  );
  await writeFile(join(folder, 'text.b64'), 'this is not base64!');
  await expectRefusal('a body that is not base64', [...auth, ...post('text')], 400, 'request-invalid');
  await writeFile(join(folder, 'empty.b64'), '\r\n');
  await expectRefusal('an empty body', [...auth, ...post('empty')], 400, 'request-invalid');
  const der = await readFile(join(folder, 'wrong.der'));
  await writeFile(join(folder, 'cut.b64'), der.subarray(0, -9).toString('base64'));
  await expectRefusal('a request cut short', [...auth, ...post('cut')], 400, 'request-invalid');
  const forged = Buffer.from(der);
  forged[forged.length - 9] = (forged[forged.length - 9] ?? 0) ^ 1;
  await writeFile(join(folder, 'forged.b64'), forged.toString('base64'));
  await expectRefusal('a request without proof of possession', [...auth, ...post('forged')], 400, 'request-invalid');
  await writeFile(join(folder, 'long.b64'), 'A'.repeat(100_000));
  await expectRefusal('a body that is too long', [...auth, ...post('long')], 413, 'payload-too-large');
  await newKey('named', '/CN=Not A Device');
  await expectRefusal('a name that is no device id', ['-u', `:${token}`, ...post('named')], 400, 'request-invalid');
  await t.test('re-enrollment without a certificate', async () => {
    const reply = await curl('simplereenroll', ...post('wrong'));
    assert.deepEqual([reply.status, refusal(reply)], [401, 'certificate-required']);
  });
  await t.test('the token was not used up by any of this: base64 without line ends is taken', async () => {
    await writeFile(join(folder, 'wrong.b64'), der.toString('base64'));
    assert.equal((await curl('simpleenroll', ...auth, ...post('wrong'))).status, 200);
  });
  await t.test('a token works once', async () => {
    const reply = await curl('simpleenroll', ...auth, ...post('wrong'));
    assert.deepEqual([reply.status, refusal(reply)], [401, 'token-refused']);
  });
  await t.test('a device that is enrolled needs a token of its own to come back', async () => {
    const reply = await curl('simpleenroll', '-u', `wrong-1:${await world.enrollmentToken()}`, ...post('wrong'));
    assert.deepEqual([reply.status, refusal(reply)], [403, 'enrollment-refused']);
    const own = await world.enrollmentToken({ deviceId: 'wrong-1' });
    assert.equal((await curl('simpleenroll', '-u', `wrong-1:${own}`, ...post('wrong'))).status, 200);
    const { certificates } = await world.operator.get('/v1/certificates?device=wrong-1', certificateList);
    assert.deepEqual(
      certificates.map(({ reason }) => reason ?? '').toSorted((a, b) => a.localeCompare(b)),
      ['', 'superseded'],
    );
  });
  await t.test('one key is one device', async () => {
    await openssl('req', '-new', '-key', 'wrong.key', '-subj', '/CN=twin', '-outform', 'DER', '-out', 'twin.der');
    await openssl('base64', '-in', 'twin.der', '-out', 'twin.b64');
    const reply = await curl('simpleenroll', '-u', `twin:${await world.enrollmentToken()}`, ...post('twin'));
    assert.deepEqual([reply.status, refusal(reply)], [403, 'enrollment-refused']);
  });
});

test('a device with a root of trust gets no certificate by EST', { skip }, async () => {
  const device = await TestDevice.withoutTpm('rooted', join(folder, 'rooted'));
  await device.enroll(world);
  await writeFile(join(folder, 'rooted.pem'), device.credential.certificateChainPem);
  await writeFile(join(folder, 'rooted.key'), device.credential.privateKeyPem);
  await openssl('req', '-new', '-key', 'rooted.key', '-subj', '/CN=rooted', '-outform', 'DER', '-out', 'rooted.der');
  await openssl('base64', '-in', 'rooted.der', '-out', 'rooted.b64');
  const renewed = await curl('simplereenroll', ...mutual('rooted'), ...post('rooted'));
  assert.deepEqual([renewed.status, refusal(renewed)], [403, 'renewal-refused']);
  const token = await world.enrollmentToken({ deviceId: 'rooted', tier: 'software' });
  const enrolled = await curl('simpleenroll', '-u', `rooted:${token}`, ...post('rooted'));
  assert.deepEqual([enrolled.status, refusal(enrolled)], [403, 'enrollment-refused']);
  await device[Symbol.asyncDispose]();
});

test('the TLS context in the field connects with the certificate that EST gave', { skip: skipPython }, async () => {
  await enroll('context-1');
  const { port } = world.hub.deviceAddress;
  await writeFile(
    join(folder, 'context.py'),
    `
import ssl
import socket
def create_mtls_context():
    context = ssl.create_default_context(
        purpose=ssl.Purpose.SERVER_AUTH
    )
    # Device certificate and key
    context.load_cert_chain(
        certfile="context-1.pem",
        keyfile="context-1.key"
    )
    # CA certificate for server verification
    context.load_verify_locations(
        cafile="root.pem"
    )
    return context
with socket.create_connection(("127.0.0.1", ${port})) as plain:
    with create_mtls_context().wrap_socket(plain, server_hostname="localhost") as tls:
        tls.sendall(b"GET /.well-known/est/csrattrs HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n")
        print(tls.version(), tls.recv(15).decode())
`,
  );
  assert.match((await run('python3', 'context.py')).out, /^TLSv1\.3 HTTP\/1\.1 200/);
});

test('an EST device cannot bind a connection, and so reaches no key', { skip }, async () => {
  await enroll('keyless');
  const { port } = world.hub.deviceAddress;
  const ask = async (path: string, body: string) =>
    run(
      'curl',
      '-sS',
      '--cacert',
      'root.pem',
      ...mutual('keyless'),
      '-H',
      'content-type: application/json',
      '-d',
      body,
      `https://localhost:${port}${path}`,
    );
  const statement = Buffer.from('{}').toString('base64url');
  const evidence = { type: 'edgekeep-evidence/v1', kind: 'software', statement, signature: 'AA', eventLog: 'AA' };
  assert.match((await ask('/v1/bind', JSON.stringify({ evidence }))).out, /attestation-refused|request-invalid/);
  assert.match((await ask('/v1/challenges', '{}')).out, /connection-unbound/);
});

test('a token of an enrollment group enrolls as many devices as it says', { skip }, async () => {
  const order = { name: 'pumps', kind: 'token', terms: { idPrefix: 'pump-', tags: { line: 'water' } } };
  await world.operator.send('POST', '/v1/enrollment-groups', order, enrollmentGroupView);
  const path = '/v1/enrollment-groups/pumps/tokens';
  const { token } = await world.operator.send('POST', path, { maxUses: 1 }, groupTokenResponse);
  for (const name of ['valve-21', 'pump-21', 'pump-22']) await newKey(name, `/CN=${name}`);
  const ask = async (name: string) => curl('simpleenroll', '-u', `${name}:${token}`, ...post(name));
  const unfit = await ask('valve-21');
  assert.deepEqual([unfit.status, refusal(unfit)], [403, 'enrollment-refused']);
  assert.equal((await ask('pump-21')).status, 200);
  const device = await world.device('pump-21');
  assert.deepEqual([device.enrollmentGroup, device.tags], ['pumps', { line: 'water' }]);
  const spent = await ask('pump-22');
  assert.deepEqual([spent.status, refusal(spent)], [401, 'token-refused']);
});

test('a wiped device comes back with a new key and a token made since, and with nothing older', { skip }, async () => {
  const spare = await world.enrollmentToken({ deviceId: 'pump-31', tier: 'software' });
  await enroll('pump-31');
  world.clock.advanceSeconds(1);
  await world.setState('pump-31', 'quarantine');
  await world.operator.send('POST', '/v1/devices/pump-31/wiped', { reason: 'erased' }, stateResponse);
  const again = await curl('simplereenroll', ...mutual('pump-31'), ...post('pump-31'));
  assert.deepEqual([again.status, refusal(again)], [403, 'certificate-revoked']);
  await newKey('pump-31b', '/CN=pump-31');
  const late = await curl('simpleenroll', '-u', `pump-31:${spare}`, ...post('pump-31b'));
  assert.deepEqual([late.status, refusal(late)], [403, 'enrollment-refused']);
  const fresh = await world.enrollmentToken({ deviceId: 'pump-31', tier: 'software' });
  const oldKey = await curl('simpleenroll', '-u', `pump-31:${fresh}`, ...post('pump-31'));
  assert.deepEqual([oldKey.status, refusal(oldKey)], [403, 'enrollment-refused']);
  assert.equal((await curl('simpleenroll', '-u', `pump-31:${fresh}`, ...post('pump-31b'))).status, 200);
  const { state, incarnation } = await world.device('pump-31');
  assert.deepEqual([state, incarnation], ['registered', 2]);
});

test('what ends when is listed, without warning while there is time', { skip }, async () => {
  const page = await world.operator.get('/v1/expiry', expiry);
  const issuing = ['servers', 'devices', 'workloads'].map((each) => `issuing CA for ${each}`);
  const names = ['root', 'server', ...issuing, ...issuing.map((name) => `OCSP responder of the ${name}`)];
  assert.deepEqual(
    page.hub.map(({ name, warning, ended }) => `${name} ${warning} ${ended}`).toSorted(),
    names.map((name) => `${name} false false`).toSorted(),
  );
  assert.equal(page.devicesWarned + page.devicesEnded, 0);
  assert.ok(page.devices.some(({ name }) => name === 'keyless'));
});
