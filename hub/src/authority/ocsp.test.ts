// What the responder says of certificates, for how long, and that no kept answer outlives a revocation.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type Certificate, publicKeyOf, serialText } from '@edgekeep/core/identity/certificate';
import {
  encodeCertId,
  encodeOcspRequest,
  issuerHashesOf,
  parseOcspRequest,
} from '@edgekeep/core/identity/ocsp-request';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import { verifySignature } from '@edgekeep/core/identity/signature-algorithm';
import { newSigner } from '@edgekeep/core/identity/testing-manufacturer';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { contextTag, DerReader, derTag } from '@edgekeep/core/der';
import { addDevices, deviceRow } from '../registry/testing-device.ts';
import { announceDisconnects, revokeSerials } from '../revocation/store.ts';
import { RevocationWatch } from '../revocation/watch.ts';
import { openTestStore } from '../store/testing-store.ts';
import { issueDeviceCertificate, recordCertificate } from './issue.ts';
import { OcspResponder } from './ocsp.ts';
import { openTestAuthorities } from './testing-authorities.ts';

const bornMs = 1_800_000_000_000;
const answerSeconds = 600;

async function openResponder() {
  const store = await openTestStore();
  const { database } = store;
  const authorities = await openTestAuthorities(store, bornMs);
  await addDevices(database, deviceRow('press-1'));
  const watch = await RevocationWatch.start(database, () => undefined, 1_000);
  const time = { ms: bornMs };
  const issuing = authorities.activeFor('device');
  const responder = new OcspResponder({ database, issuing, watch, clock: () => time.ms, answerSeconds });
  return {
    database,
    issuing,
    responder,
    time,
    async certify(): Promise<Certificate> {
      const spki = encodeSpki(newSigner().publicKey);
      const order = { deviceId: 'press-1', spki, nowMs: bornMs, lifeSeconds: 86_400 };
      const certificate = await issueDeviceCertificate(authorities, order);
      await database.write((trx) => recordCertificate(trx, certificate, 'press-1'));
      return certificate;
    },
    async revoke(certificate: Certificate): Promise<void> {
      const serial = serialText(certificate);
      await database.write(async (trx) => {
        await revokeSerials(trx, [serial], { reason: 'keyCompromise', nowMs: time.ms });
        await announceDisconnects(trx, [{ deviceId: 'press-1', serial }]);
      });
      await watch.poll();
    },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
type Responder = Awaited<ReturnType<typeof openResponder>>;

interface Asked {
  readonly nonce?: Uint8Array;
  /** Whose certificate it is said to be, where it is another authority's. */
  readonly issuer?: Certificate;
  readonly hash?: 'sha1' | 'sha256';
}

async function ask({ responder, issuing }: Responder, serials: readonly Uint8Array[], asked: Asked = {}) {
  const { nonce, issuer = issuing.certificate, hash = 'sha1' } = asked;
  const ids = serials.map((serial) => encodeCertId(hash, issuerHashesOf(issuer, hash), serial));
  const { der, reusedUntilSeconds } = await responder.answer(parseOcspRequest(encodeOcspRequest(ids, nonce)));
  return { der, reusedUntilSeconds, ...read(der) };
}

/** Status by certificate, and the period in which the answer may be relied on (RFC 6960 section 4.2.1). */
function read(der: Uint8Array) {
  const response = new DerReader(der, 'OCSP response').inside();
  response.smallInteger(0x0a);
  const bytes = response.inside(contextTag(0, true)).inside();
  bytes.oid();
  const basic = new DerReader(bytes.value(derTag.octetString).content, 'basic response').inside();
  const tbs = basic.value(derTag.sequence);
  const data = basic.into(tbs);
  basic.any();
  const signature = basic.octetsInBitString();
  data.any();
  data.any();
  const singles = data.inside();
  const statuses: string[] = [];
  let period: readonly number[] = [];
  while (!singles.done) {
    const single = singles.inside();
    single.any();
    statuses.push(statusNames[single.any().tag] ?? 'none');
    period = [timeIn(single.any().content), timeIn(single.any().content.subarray(2))];
  }
  return { statuses, period, tbs: tbs.whole, signature };
}
const statusNames: Readonly<Record<number, string>> = { 0x80: 'good', 0xa1: 'revoked', 0x82: 'unknown' };
function timeIn(digits: Uint8Array): number {
  const text = Buffer.from(digits).toString('latin1');
  const [, ...parts] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text) ?? [];
  const [year = 0, month = 0, ...rest] = parts.map(Number);
  return Date.UTC(year, month - 1, ...rest) / 1_000;
}

test('a certificate that is not revoked is good, a revoked one is revoked, and one that this CA did not issue is unknown', async () => {
  await using hub = await openResponder();
  const [standing, revoked] = [await hub.certify(), await hub.certify()];
  await hub.revoke(revoked);
  const serials = [standing.serial, revoked.serial, randomBytes(16)];
  for (const hash of ['sha1', 'sha256'] as const)
    assert.deepEqual((await ask(hub, serials, { hash })).statuses, ['good', 'revoked', 'unknown']);
  const { certificate: other } = await testRoot({ notBeforeSeconds: 0, notAfterSeconds: 4e9 });
  assert.deepEqual((await ask(hub, [standing.serial], { issuer: other })).statuses, ['unknown']);
  const own = await hub.responder.certificate();
  assert.deepEqual((await ask(hub, [own.serial])).statuses, ['good']);
});

test('an answer is signed by the responder, and may be relied on for as long as the setting says', async () => {
  await using hub = await openResponder();
  const { period, tbs, signature } = await ask(hub, [(await hub.certify()).serial]);
  assert.deepEqual(period, [bornMs / 1_000, bornMs / 1_000 + answerSeconds]);
  const responder = await hub.responder.certificate();
  const isSigned = (bytes: Uint8Array) =>
    verifySignature(responder.signatureScheme, publicKeyOf(responder), bytes, signature);
  assert.ok(isSigned(tbs));
  assert.equal(isSigned(Uint8Array.from(tbs, (octet, at) => (at === 40 ? octet ^ 1 : octet))), false);
});

test('a kept answer is given again for half of its time, and not after anything was revoked', async () => {
  await using hub = await openResponder();
  const [one, other] = [await hub.certify(), await hub.certify()];
  const first = await ask(hub, [one.serial]);
  hub.time.ms += (answerSeconds / 2) * 1_000 - 1;
  assert.deepEqual((await ask(hub, [one.serial])).der, first.der);
  hub.time.ms += 1;
  const second = await ask(hub, [one.serial]);
  assert.notDeepEqual(second.der, first.der);
  await hub.revoke(other);
  assert.deepEqual((await ask(hub, [one.serial])).statuses, ['good']);
  await hub.revoke(one);
  assert.deepEqual((await ask(hub, [one.serial])).statuses, ['revoked']);
});

test('an answer with a nonce is for who asked, and one that says unknown is not kept', async () => {
  await using hub = await openResponder();
  const { serial } = await hub.certify();
  const nonce = randomBytes(16);
  const asked = await ask(hub, [serial], { nonce });
  assert.equal(asked.reusedUntilSeconds, undefined);
  assert.ok(Buffer.from(asked.der).includes(nonce));
  assert.equal((await ask(hub, [randomBytes(16)])).reusedUntilSeconds, undefined);
});

test('the responder has a certificate that is valid now, and another one in time', async () => {
  await using hub = await openResponder();
  const first = await hub.responder.certificate();
  hub.time.ms += 6 * 86_400_000;
  const second = await hub.responder.certificate();
  assert.notEqual(serialText(second), serialText(first));
  assert.ok(second.notBeforeSeconds <= hub.time.ms / 1_000 && second.notAfterSeconds > hub.time.ms / 1_000);
});
