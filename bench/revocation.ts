// The life of certificates on the hub: issuing against `openssl ca`, a bulk revocation, the list and OCSP over a fleet with revoked
// certificates.
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { classOf } from '@edgekeep/core/identity/certificate-class';
import { parseCrl } from '@edgekeep/core/identity/crl';
import { commonNameOnly } from '@edgekeep/core/identity/distinguished-name';
import {
  encodeCertId,
  encodeOcspRequest,
  issuerHashesOf,
  parseOcspRequest,
} from '@edgekeep/core/identity/ocsp-request';
import { encodeCertificateRequest, parseCertificateRequest } from '@edgekeep/core/identity/request';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { signerFromKey } from '@edgekeep/core/signer';
import { Authorities } from '@edgekeep/hub/authority/authorities';
import { issueDeviceCertificate, recordCertificate } from '@edgekeep/hub/authority/issue';
import { RevocationList } from '@edgekeep/hub/authority/crl';
import { OcspResponder } from '@edgekeep/hub/authority/ocsp';
import { revoke } from '@edgekeep/hub/respond/revoke';
import { RevocationWatch } from '@edgekeep/hub/revocation/watch';
import { deviceOf, seedFleet, serialOf } from '@edgekeep/hub/revocation/testing-revocation';
import { createHubKeys, issuingKeyName } from '@edgekeep/hub/secrets/hub-keys';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { Database } from '@edgekeep/hub/store/database';
import { type Benchmark, type Harness, percentile } from './harness.ts';

const LIST_MS_MAX = 3_000;
const BULK_MS_MAX = 1_000;
const revokedAtOnce = 10_000;

export const bench: Benchmark = {
  name: 'revocation',
  title: 'Certificates: issue, revoke, list, OCSP',
  budget:
    'issue faster than `openssl ca`; revoke 10,000 devices in one transaction < 1 s; a list of 100,000 revoked certificates < 3 s, without stopping other work for more than 250 ms',
  async run(harness) {
    await mkdir(join(harness.scratch, 'hub'));
    const order = {
      rootFolder: join(harness.scratch, 'root'),
      unlockers: [],
      trustDomain: 'edgekeep.local',
      nowSeconds: Math.floor(Date.now() / 1_000),
    };
    await createHubKeys(join(harness.scratch, 'hub'), order);
    await compareIssuing(harness);
    harness.note(
      'openssl ca writes its index once at the end and syncs nothing; every certificate of the hub is on disk before it is given away.',
    );
    await measureRevoked(harness);
  },
};

/** Both read a request, check its proof of possession, make, sign and record a certificate; the hub does so durably, each in a transaction. */
async function compareIssuing(harness: Harness): Promise<void> {
  const count = harness.quick ? 100 : 500;
  // A new key for each: a key that was certified for another device is refused.
  const requests = await Promise.all(
    Array.from({ length: count }, async (_, at) => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
      return encodeCertificateRequest({ subject: commonNameOnly(deviceOf(at)) }, signerFromKey(privateKey));
    }),
  );
  const authority = join(harness.scratch, 'authority');
  await mkdir(authority);
  const files = requests.map((_, at) => join(authority, `${at}.csr`));
  for (const [at, file] of files.entries())
    await writeFile(file, encodePem('CERTIFICATE REQUEST', requests[at] ?? new Uint8Array(0)));
  const config = join(authority, 'ca.cnf');
  await writeFile(config, opensslConfig(authority));
  const pair = await devicesAuthority(harness);
  let run = 0;
  const comparison = await harness.compare({
    title: `issue ${count} certificates for P-256 keys`,
    rounds: harness.quick ? 2 : 5,
    work: { amount: count, unit: 'certificate' },
    peers: [
      {
        name: 'openssl ca, one process for all',
        missing: spawnSync('openssl', ['version']).error === undefined ? undefined : 'openssl is not installed',
        run: async () => {
          await writeFile(join(authority, 'index.txt'), '');
          await writeFile(join(authority, 'serial'), '4a00000000000000\n');
          return harness.child('openssl', [
            'ca',
            '-batch',
            '-notext',
            '-config',
            config,
            ...pair,
            '-infiles',
            ...files,
          ]);
        },
      },
      {
        name: 'hub, one durable transaction after another',
        run: async () => issueAll(harness, requests, run++, 1),
      },
      {
        name: 'hub, 64 at a time in group commits',
        run: async () => issueAll(harness, requests, run++, 64),
      },
    ],
  });
  const [, one, many] = comparison.peers;
  const ratio = many?.ratio?.median;
  harness.verdict(
    ratio === undefined || ratio >= 1,
    `issuing is ${ratio?.toFixed(1) ?? '?'} times as fast as openssl ca in group commits, ${one?.ratio?.median.toFixed(1) ?? '?'} times one by one (at least 1)`,
  );
}

async function issueAll(
  harness: Harness,
  requests: readonly Uint8Array[],
  run: number,
  atOnce: number,
): Promise<{ wallMs: number }> {
  const path = join(harness.scratch, `issue-${run}.sqlite`);
  await using database = await Database.open(path);
  await seedFleet(database, { count: requests.length, notAfterMs: Date.now() + 1 });
  const authorities = await openAuthorities(harness, database);
  const began = performance.now();
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < requests.length; at = next++) {
      const { spki } = parseCertificateRequest(requests[at] ?? new Uint8Array(0));
      const order = { deviceId: deviceOf(at), spki, nowMs: Date.now(), lifeSeconds: 604_800 };
      const certificate = await issueDeviceCertificate(authorities, order);
      await database.write(async (trx) => recordCertificate(trx, certificate, order.deviceId));
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  const wallMs = performance.now() - began;
  return { wallMs };
}

function openAuthorities(harness: Harness, database: Database): Promise<Authorities> {
  const folder = join(harness.scratch, 'hub');
  return Authorities.open(folder, { database, keyStore: plainKeys(join(folder, 'keys')), clock: Date.now });
}

/** The files of the CA for devices, as options of `openssl ca`. */
async function devicesAuthority({ scratch }: Harness): Promise<readonly string[]> {
  const keys = join(scratch, 'hub/keys');
  const issuing = parsePem(await readFile(join(keys, 'issuing.pem'), 'utf8'), 'CERTIFICATE').map(parseCertificate);
  const devices = issuing.find((each) => classOf(each) === 'device');
  if (devices === undefined) throw new TypeError('the hub has no CA for devices');
  const file = join(scratch, 'devices-ca.pem');
  await writeFile(file, encodePem('CERTIFICATE', devices.der));
  return ['-keyfile', join(keys, issuingKeyName(toHex(keyIdentifierOf(devices.spki)))), '-cert', file];
}

async function measureRevoked(harness: Harness): Promise<void> {
  const count = harness.quick ? 5_000 : 100_000;
  const path = join(harness.scratch, 'fleet.sqlite');
  await using database = await Database.open(path);
  const bulk = Math.min(revokedAtOnce, count);
  const notAfterMs = Date.now() + 86_400_000;
  const issuing = (await openAuthorities(harness, database)).activeFor('device');
  await seedFleet(database, { count: count + bulk, notAfterMs, revoked: count, issuer: issuing.id });
  const watch = await RevocationWatch.start(database, () => undefined, 250);
  const common = { database, issuing, watch, clock: Date.now };

  const ids = Array.from({ length: bulk }, (_, at) => deviceOf(count + at));
  const began = performance.now();
  await revoke(
    { database, connections: { cut: () => 0 }, watch },
    {
      target: { kind: 'devices', ids },
      reason: 'keyCompromise',
      note: 'a measurement',
      mayReturn: false,
      actor: 'bench',
      nowMs: Date.now(),
    },
  );
  const bulkMs = performance.now() - began;
  harness.figure(`revoke ${bulk} devices in one transaction`, bulkMs, 'ms');
  harness.verdict(bulkMs < BULK_MS_MAX, `${bulk} devices revoked in ${Math.round(bulkMs)} ms (below ${BULK_MS_MAX})`);
  await measureList(harness, { ...common, lifeSeconds: 86_400 }, count + bulk);
  await measureOcsp(harness, { ...common, answerSeconds: 3_600 }, count);
}

async function measureList(
  harness: Harness,
  dependencies: ConstructorParameters<typeof RevocationList>[0],
  revoked: number,
): Promise<void> {
  const list = new RevocationList(dependencies);
  const stalls = watchStalls();
  const began = performance.now();
  const { der } = await list.current();
  const listMs = performance.now() - began;
  const stallMs = stalls.stop();
  const again = performance.now();
  await list.current();
  harness.figure(`make the list of ${revoked} revoked certificates`, listMs, 'ms');
  harness.figure('longest time nothing else could run meanwhile', stallMs, 'ms');
  harness.figure('the list again, nothing changed', performance.now() - again, 'ms');
  harness.figure('size of the list', der.length / 2 ** 20, 'MiB');
  const parsing = performance.now();
  const { size } = parseCrl(der).revoked;
  harness.figure('parse it strictly', performance.now() - parsing, 'ms');
  const file = join(harness.scratch, 'list.der');
  await writeFile(file, der);
  if (spawnSync('openssl', ['version']).error === undefined) {
    const authorities = join(harness.scratch, 'authorities.pem');
    await writeFile(authorities, await readFile(join(harness.scratch, 'hub/keys/issuing.pem')));
    const args = ['crl', '-inform', 'DER', '-in', file, '-noout', '-CAfile', authorities];
    harness.figure('openssl crl reads and verifies it', (await harness.child('openssl', args)).wallMs, 'ms');
  }
  await rm(file);
  if (size !== revoked) throw new Error(`the list has ${size} of ${revoked}`);
  harness.verdict(
    listMs < LIST_MS_MAX && stallMs < 250,
    `the list took ${Math.round(listMs)} ms (below ${LIST_MS_MAX}) and held others up for at most ${Math.round(stallMs)} ms (below 250)`,
  );
}

/** The longest time that the event loop was blocked. */
function watchStalls(): { stop(): number } {
  let last = performance.now();
  let longest = 0;
  const timer = setInterval(() => {
    const now = performance.now();
    longest = Math.max(longest, now - last);
    last = now;
  }, 1);
  return {
    stop: () => {
      clearInterval(timer);
      return Math.max(longest, performance.now() - last);
    },
  };
}

async function measureOcsp(
  harness: Harness,
  dependencies: ConstructorParameters<typeof OcspResponder>[0],
  revoked: number,
): Promise<void> {
  const responder = new OcspResponder(dependencies);
  const issuer = issuerHashesOf(dependencies.issuing.certificate, 'sha1');
  const count = harness.quick ? 1_000 : 10_000;
  const question = (at: number, nonce?: Uint8Array) =>
    encodeOcspRequest([encodeCertId('sha1', issuer, parseHex(serialOf((at * 7) % revoked), 'serial'))], nonce);
  await responder.answer(parseOcspRequest(question(0)));
  const kinds = [
    ['with a nonce: looked up and signed each time', (at: number) => question(at, new Uint8Array(32).fill(at))],
    ['without, another certificate each time: looked up and signed', (at: number) => question(at)],
    ['without, asked again: kept', (at: number) => question(at)],
  ] as const;
  for (const [what, ask] of kinds) {
    const questions = Array.from({ length: count }, (_, at) => ask(at));
    const times: number[] = [];
    const began = performance.now();
    for (const one of questions) {
      const asked = performance.now();
      await responder.answer(parseOcspRequest(one));
      times.push(performance.now() - asked);
    }
    const perSecond = (count * 1_000) / (performance.now() - began);
    harness.figure(`OCSP ${what}`, perSecond, 'answers/s');
    harness.figure(`OCSP ${what}, p99`, percentile(times, 0.99), 'ms');
  }
}

function opensslConfig(folder: string): string {
  return `[ca]
default_ca = hub
[hub]
dir = ${folder}
database = ${folder}/index.txt
serial = ${folder}/serial
new_certs_dir = ${folder}
default_md = sha256
default_days = 7
policy = names
unique_subject = no
x509_extensions = device
[names]
commonName = supplied
[device]
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature
extendedKeyUsage = clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
`;
}
