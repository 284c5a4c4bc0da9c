// A publisher with two keys: both must have signed, and what the reader was given says so.
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { parseUtf8, toBase64, utf8 } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { mlDsaSigner } from '../../post-quantum/ml-dsa.ts';
import { signerFromKey } from '../../signer.ts';
import { parseBundle, withoutSecondSignature } from './bundle.ts';
import { encodePublisherKey, parsePublisherKey, type PublisherKey, readPublisherKeyPem } from './publisher-key.ts';
import { signModel } from './sign.ts';
import { verifyBundle } from './verify.ts';

const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: false, ignorePaths: [] } as const;
const model = (digest: string) => ({
  name: 'model',
  serialization,
  resources: [{ path: 'model.onnx', range: undefined, digest: digest.repeat(32) }],
});
const classical = signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
const second = mlDsaSigner(generateKeyPairSync('ml-dsa-65').privateKey, 'ml-dsa-65');
const signer = { ...classical, postQuantum: second };
const publisher: PublisherKey = { publicKey: classical.publicKey, postQuantum: second.publicKey };
const bundle = await signModel(model('11'), signer);

function verdictOf(bytes: Uint8Array, key: PublisherKey): string {
  const verdict = verifyBundle(bytes, { kind: 'keys', keys: [key] });
  return verdict.kind === 'verified' ? 'verified' : verdict.reasons.map(({ code }) => code).join();
}

/** The bundle with its signatures changed. */
function changed(change: (signatures: { sig: string; keyid: string }[]) => unknown): Uint8Array {
  const parsed = JSON.parse(parseUtf8(bundle, 'bundle'));
  parsed.dsseEnvelope.signatures = change(parsed.dsseEnvelope.signatures);
  return utf8(JSON.stringify(parsed));
}

// SECURITY.md: HUB-81
test('a bundle of a publisher with two keys verifies by both signatures, and is refused when one is stripped, false or of another statement', async () => {
  assert.equal(verdictOf(bundle, publisher), 'verified');
  assert.equal(
    verdictOf(
      changed(([own]) => [own]),
      publisher,
    ),
    'post-quantum-missing',
  );
  const other = parseBundle(await signModel(model('22'), signer));
  assert.ok(other.kind === 'parsed');
  const foreign = toBase64(other.bundle.envelope.postQuantum?.signature ?? assert.fail());
  assert.equal(
    verdictOf(
      changed(([own, two]) => [own, { ...two, sig: foreign }]),
      publisher,
    ),
    'signature-invalid',
  );
  const stranger = { ...publisher, postQuantum: generateKeyPairSync('ml-dsa-65').publicKey };
  assert.equal(verdictOf(bundle, stranger), 'signature-invalid');
  const anotherClassical = { ...publisher, publicKey: generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey };
  assert.equal(verdictOf(bundle, anotherClassical), 'wrong-key');
});

test('a reader that knows the classical key alone reads a bundle with two signatures', () => {
  assert.equal(verdictOf(bundle, { publicKey: classical.publicKey }), 'verified');
});

test('a second signature without the fingerprint of its key, a third one, or two in the other order are no bundle', () => {
  for (const wrong of [
    changed(([own, two]) => [own, { ...two, keyid: '' }]),
    changed(([own, two]) => [two, own]),
    changed(([own, two]) => [own, two, two]),
    changed(() => []),
  ]) {
    assert.throws(() => parseBundle(wrong), { code: 'signature-bundle-invalid' });
  }
});

test('a bundle for readers of before has the first signature alone, and one without a second stays as it is', async () => {
  const text = parseUtf8(bundle, 'bundle');
  const first = withoutSecondSignature(text);
  assert.equal(JSON.parse(first).dsseEnvelope.signatures.length, 1);
  assert.equal(verdictOf(utf8(first), { publicKey: classical.publicKey }), 'verified');
  assert.equal(verdictOf(utf8(first), publisher), 'post-quantum-missing');
  const plain = parseUtf8(await signModel(model('11'), classical), 'bundle');
  assert.equal(withoutSecondSignature(plain), plain);
});

test('the text of two keys is read as it is written; another order, a third key and another kind are refused', () => {
  const text = encodePublisherKey(publisher);
  for (const parse of [parsePublisherKey, readPublisherKeyPem]) {
    const read = parse(text);
    assert.ok(read.publicKey.equals(publisher.publicKey) && read.postQuantum?.equals(second.publicKey) === true);
    assert.equal(parse(encodePublisherKey({ publicKey: classical.publicKey })).postQuantum, undefined);
    const [own = '', two = ''] = text.split(/(?<=-----END PUBLIC KEY-----\n)/);
    const weaker = generateKeyPairSync('ml-dsa-44').publicKey.export({ format: 'pem', type: 'spki' }).toString();
    for (const wrong of [`${own}${own}`, `${text}${two}`, `${own}${weaker}`, 'no key']) {
      assert.throws(() => parse(wrong), CoreError, wrong.slice(0, 80));
    }
    assert.equal(createPublicKey(own).equals(read.publicKey), true);
  }
  assert.throws(
    () =>
      parsePublisherKey(
        text
          .split(/(?<=-----END PUBLIC KEY-----\n)/)
          .toReversed()
          .join(''),
      ),
    CoreError,
  );
});
