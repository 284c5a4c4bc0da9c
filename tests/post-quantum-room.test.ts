// Every field and limit that holds a signature, a key or a receipt has room for ML-DSA-65, ML-DSA-44 and ML-KEM-768 (docs/design/post-quantum.md,
// "Sizes"). The values are of real keys.
import assert from 'node:assert/strict';
import { encapsulate, generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import { sealHybridLayer } from '@edgekeep/core/access/hybrid-wrap';
import { encodeReceipt, RECEIPT_BYTES_MAX } from '@edgekeep/core/access/receipt';
import { testReceiptParts, testWitnesses } from '@edgekeep/core/access/testing-receipt';
import { parseTrust } from '@edgekeep/core/access/trust';
import { hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { EAR_BYTES_MAX } from '@edgekeep/core/attest/ear';
import { parseAddCheckpoint } from '@edgekeep/core/audit/add-checkpoint';
import { encodeForkProof, parseForkProof } from '@edgekeep/core/audit/fork-proof';
import { encodeNote, encodeVerifierKey, parseNote, verifierKeyOf } from '@edgekeep/core/audit/note';
import { encodeTlogProof, parseTlogProof } from '@edgekeep/core/audit/proof';
import { parseUtf8, toBase64, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { parseBundle } from '@edgekeep/core/model/signature/bundle';
import { xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { mlDsaSigner } from '@edgekeep/core/post-quantum/ml-dsa';
import { signerFromKey } from '@edgekeep/core/signer';
import { bodyBytes } from '@edgekeep/hub/doors/http/body-limits';
import { cosignatureRequest } from '@edgekeep/wire/api/audit';
import * as enrollment from '@edgekeep/wire/api/enrollment';
import { hybridKeyChallengeRequest, hybridKeyChallengeResponse } from '@edgekeep/wire/api/hybrid-key';
import { publisherRequest } from '@edgekeep/wire/api/publisher';
import { reportRequest } from '@edgekeep/wire/api/report';
import { z } from 'zod';

const message = utf8('a message');
const dsa65 = generateKeyPairSync('ml-dsa-65');
const dsa44 = generateKeyPairSync('ml-dsa-44');
const kem = generateKeyPairSync('ml-kem-768');
const signature65 = sign(null, message, dsa65.privateKey);
const signature44 = sign(null, message, dsa44.privateKey);
const pem65 = dsa65.publicKey.export({ format: 'pem', type: 'spki' }).toString();
const pem521 = generateKeyPairSync('ec', { namedCurve: 'P-521' })
  .publicKey.export({ format: 'pem', type: 'spki' })
  .toString();
const spki65 = dsa65.publicKey.export({ format: 'der', type: 'spki' });
/** As long as a certificate or a request of ML-DSA-65 can be: a key, a signature, and 1 KiB of names and extensions. */
const certificate65 = Buffer.concat([spki65, signature65, Buffer.alloc(1024, 7)]);
const vkey44 = encodeVerifierKey(
  verifierKeyOf(
    {
      name: `edgekeep.example/device/${'d'.repeat(64)}`,
      signer: signerFromKey(generateKeyPairSync('ed25519').privateKey),
      postQuantum: mlDsaSigner(dsa44.privateKey, 'ml-dsa-44'),
    },
    'cosignature-v1',
  ),
);

test('the sizes are those of FIPS 203 and 204', () => {
  assert.deepEqual([signature65.length, spki65.length - 22], [3309, 1952]);
  assert.equal(signature44.length, 2420);
  assert.equal(encapsulate(kem.publicKey).ciphertext.length, 1088);
});

test('the bundle of a model has room for a signature of ML-DSA-65', () => {
  const bundle = {
    mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
    verificationMaterial: { publicKey: { hint: 'a'.repeat(64) }, tlogEntries: [] },
    dsseEnvelope: {
      payload: toBase64(message),
      payloadType: 'application/vnd.in-toto+json',
      signatures: [{ sig: toBase64(signature65), keyid: '' }],
    },
  };
  assert.equal(parseBundle(utf8(JSON.stringify(bundle))).kind, 'parsed');
});

test('a publisher’s classical and post-quantum key have room in a request and in a trust file', () => {
  const publicKey = `${pem521}${pem65}`;
  assert.equal(publisherRequest.safeParse({ name: 'acme', publicKey }).success, true);
  const trust = {
    type: 'edgekeep-trust/v1',
    log: 'x',
    attestationKeys: [publicKey],
    publisherKeys: [publicKey],
    witnesses: [vkey44],
    quorum: 0,
  };
  // The lengths are accepted: what is wrong is the verifier key of the log.
  assert.throws(() => parseTrust(utf8(JSON.stringify(trust))), { code: 'key-invalid', message: /verifier key/ });
});

/** A note with this many witnesses, each with a line of Ed25519 and one of ML-DSA-44. */
function noteBy(witnesses: number): Uint8Array {
  const lines = Array.from({ length: witnesses }, (_, at) => [
    { name: `edgekeep.example/device/press-${at}`, keyId: '0a0b0c0d', signature: Buffer.alloc(72, 1) },
    {
      name: `edgekeep.example/device/press-${at}`,
      keyId: '0e0f0a0b',
      signature: Buffer.concat([Buffer.alloc(8), signature44]),
    },
  ]).flat();
  const text = `edgekeep.example/audit\n5\n${toBase64(Buffer.alloc(32, 3))}\n`;
  const log = { name: 'edgekeep.example/audit', keyId: '01020304', signature: Buffer.alloc(64, 2) };
  return encodeNote({ text, signatures: [log, ...lines] });
}

test('a checkpoint carries 100 witnesses with two cosignatures each: as a note, in a proof, in a witness’s request and answer, in a fork proof', () => {
  const note = noteBy(100);
  assert.equal(parseNote(note).signatures.length, 201);
  const proof = encodeTlogProof({ index: 0, hashes: [], checkpoint: note });
  assert.deepEqual(Buffer.from(parseTlogProof(proof).checkpoint), Buffer.from(note));
  const text = parseUtf8(note, 'note');
  assert.deepEqual(Buffer.from(parseAddCheckpoint(utf8(`old 0\n\n${text}`)).checkpoint), Buffer.from(note));
  const answer = { checkpoint: text };
  assert.equal(cosignatureRequest.safeParse(answer).success, true);
  assert.ok(JSON.stringify(answer).length <= bodyBytes.note);
  const fork = encodeForkProof({ kind: 'same-size', first: note, second: note });
  assert.equal(parseForkProof(fork).kind, 'same-size');
  const report = { forkProof: parseUtf8(fork, 'fork proof') };
  assert.equal(reportRequest.safeParse(report).success, true);
  assert.ok(JSON.stringify(report).length <= bodyBytes.report);
});

test('a receipt has room for 16 witnesses with two cosignatures each, and still holds manifest and bundle', async () => {
  const parts = await testReceiptParts({ cosigners: testWitnesses });
  const checkpoint = noteBy(16);
  const proof = encodeTlogProof({ ...parseTlogProof(parts.proof), checkpoint });
  const receipt = encodeReceipt({ ...parts, proof });
  assert.ok(receipt.length > 50_000 && receipt.length <= RECEIPT_BYTES_MAX, `${receipt.length} bytes`);
  const { manifest } = z.looseObject({ manifest: z.unknown() }).parse(JSON.parse(parseUtf8(receipt, 'receipt')));
  assert.equal(manifest, toBase64url(parts.manifest));
});

test('an attestation result has room for the signature that today’s longest one has not', () => {
  const longestBefore = 8 * 1024;
  assert.ok(EAR_BYTES_MAX >= longestBefore + toBase64url(signature65).length);
});

test('a wrapped key has room for the ciphertext of ML-KEM-768 with a point of P-256', () => {
  const encapsulatedKey = toBase64url(Buffer.concat([encapsulate(kem.publicKey).ciphertext, Buffer.alloc(65, 4)]));
  assert.equal(
    wrappedKeySchema.safeParse({ kind: 'hpke', encapsulatedKey, ciphertext: toBase64url(message) }).success,
    true,
  );
  const { agreement } = enrollment.enrollChallengeResponse.shape;
  assert.equal(agreement.safeParse({ encapsulatedKey, ciphertext: toBase64url(message) }).success, true);
});

test('a wrapped key with two layers, the hybrid key and its proof have room in their messages', () => {
  const seed = Buffer.alloc(32, 1);
  const publicKey = xwingPublicKey(seed);
  const lease = { id: 'l', deviceId: 'd', model: 'm', version: '1', manifestDigest: 'a'.repeat(64) };
  const context = { purpose: 'model key', lease: { ...lease, notBefore: 1, notAfter: 3, renewAfter: 2 } } as const;
  const layer = { recipientPublicKey: publicKey, modelKey: Buffer.alloc(32, 2), psk: Buffer.alloc(32, 3), context };
  const hybrid = sealHybridLayer(layer);
  const first = { kind: 'hpke', encapsulatedKey: toBase64url(Buffer.alloc(65, 4)), ciphertext: 'AAAA' };
  const wrapped = { type: hybridWrapType, ...first, hybrid };
  assert.equal(wrappedKeySchema.safeParse(wrapped).success, true);
  const { encapsulatedKey, ciphertext } = hybrid;
  assert.deepEqual([encapsulatedKey.length, ciphertext.length], [1494, 64]);
  const key = toBase64url(publicKey);
  assert.equal(hybridKeyChallengeRequest.safeParse({ key }).success, true);
  assert.ok(JSON.stringify({ key }).length <= bodyBytes.order);
  assert.equal(hybridKeyChallengeResponse.safeParse({ encapsulatedKey, ciphertext }).success, true);
});

test('the messages of enrollment have room for certificates, requests, proofs and witness keys of ML-DSA', () => {
  const { witnessKey, certificateRequest, idevidProof } = enrollment.enrollCompleteRequest.shape;
  assert.equal(witnessKey.safeParse(vkey44).success, true);
  assert.equal(certificateRequest.safeParse(toBase64url(certificate65)).success, true);
  assert.equal(enrollment.renewRequest.shape.certificateRequest.safeParse(toBase64url(certificate65)).success, true);
  assert.equal(idevidProof.safeParse({ signature: toBase64url(signature65) }).success, true);
  const chain = Array.from({ length: 4 }, () => toBase64url(certificate65));
  const identity = { kind: 'dice', deviceIdCertificates: [...chain, chain[0]] };
  const challenge = { deviceId: 'press-7', identity, idevid: { chain } };
  assert.equal(enrollment.enrollChallengeRequest.safeParse(challenge).success, true);
  assert.ok(JSON.stringify(challenge).length <= bodyBytes.identity);
  const pem = `-----BEGIN CERTIFICATE-----\n${toBase64(certificate65)}\n-----END CERTIFICATE-----\n`;
  assert.equal(enrollment.certificateResponse.shape.certificateChain.safeParse(pem.repeat(4)).success, true);
});
