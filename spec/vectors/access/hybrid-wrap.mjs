// Makes the vectors of spec/vectors/access/hybrid-wrap (spec/access.md, "Hybrid wraps"), independently of the product's code: X-Wing is that of
// @noble/post-quantum, the rest of HPKE (RFC 9180) is written here anew, and the package hpke opens each second layer that must open.
//
// node spec/vectors/access/hybrid-wrap.mjs
import { createCipheriv, createECDH, createHash, createHmac } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { ml_kem768_x25519 as xwing } from '@noble/post-quantum/hybrid.js';
import { AEAD_AES_256_GCM, CipherSuite, KDF_HKDF_SHA256, KEM_MLKEM768_X25519 } from 'hpke';

const folder = new URL('hybrid-wrap/', import.meta.url);
const filled = (byte, length = 32) => Buffer.alloc(length, byte);
const base64url = (bytes) => Buffer.from(bytes).toString('base64url');
const hex = (bytes) => Buffer.from(bytes).toString('hex');
const twoBytes = (value) => Buffer.from([value >> 8, value & 0xff]);

/** RFC 8785 for what is here: members in order, whole numbers, ASCII. */
function canonical(value) {
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  const members = Object.keys(value).toSorted();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`).join(',')}}`;
}

const hmac = (key, ...parts) => createHmac('sha256', key).update(Buffer.concat(parts)).digest();
const extract = (suite, salt, label, ikm) =>
  hmac(salt, Buffer.from('HPKE-v1'), suite, Buffer.from(label), Buffer.from(ikm));
const expand = (suite, prk, label, info, length) =>
  hmac(prk, twoBytes(length), Buffer.from('HPKE-v1'), suite, Buffer.from(label), info, Buffer.from([1])).subarray(
    0,
    length,
  );

/** RFC 9180, 5.1 and 6.1: one message, with HKDF-SHA256, AES-256-GCM and no associated data. */
function seal({ kemId, secret, info, psk = { psk: Buffer.alloc(0), pskId: Buffer.alloc(0) }, plaintext }) {
  const suite = Buffer.concat([Buffer.from('HPKE'), twoBytes(kemId), twoBytes(1), twoBytes(2)]);
  const none = Buffer.alloc(0);
  const context = Buffer.concat([
    Buffer.from([psk.psk.length === 0 ? 0 : 1]),
    extract(suite, none, 'psk_id_hash', psk.pskId),
    extract(suite, none, 'info_hash', info),
  ]);
  const prk = extract(suite, secret, 'secret', psk.psk);
  const key = expand(suite, prk, 'key', context, 32);
  const cipher = createCipheriv('aes-256-gcm', key, expand(suite, prk, 'base_nonce', context, 12));
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

/** DHKEM(P-256, HKDF-SHA256), RFC 9180, 4.1. */
function sealForP256(recipient, ephemeralScalar, info, plaintext) {
  const ephemeral = createECDH('prime256v1');
  ephemeral.setPrivateKey(ephemeralScalar);
  const encapsulatedKey = ephemeral.getPublicKey();
  const suite = Buffer.concat([Buffer.from('KEM'), twoBytes(0x0010)]);
  const prk = extract(suite, Buffer.alloc(0), 'eae_prk', ephemeral.computeSecret(recipient));
  const kemContext = Buffer.concat([encapsulatedKey, recipient]);
  const secret = expand(suite, prk, 'shared_secret', kemContext, 32);
  return { encapsulatedKey, ciphertext: seal({ kemId: 0x0010, secret, info, plaintext }) };
}

const lease = {
  deviceId: 'press-7',
  id: '3a6610b9-c601-4ea5-b345-1b24578796b4',
  manifestDigest: createHash('sha256').update('a manifest').digest('hex'),
  model: 'surface',
  notAfter: 1_795_239_350,
  notBefore: 1_795_235_750,
  renewAfter: 1_795_238_150,
  version: '1.0.0',
};
const plain = { purpose: 'model key', lease };
const type = 'edgekeep-wrapped-key/v3';
const infoOf = (context, ofType = type) => Buffer.concat([Buffer.from(ofType), Buffer.from([0]), Buffer.from(canonical(context))]);

const agreement = createECDH('prime256v1');
agreement.setPrivateKey(filled(0x11));
const seed = filled(0x22);
const modelKey = filled(0x33);
const firstPsk = filled(0x44);

/** A whole wrapped key, made with these deviations from the rule. */
function wrap(deviations = {}) {
  const {
    context = plain,
    info = infoOf(context),
    hybridInfo = info,
    hybridSeed = seed,
    carried = firstPsk,
    psk = { psk: carried, pskId: Buffer.from(type) },
    plaintext = modelKey,
  } = deviations;
  const first = sealForP256(agreement.getPublicKey(), filled(0x55), info, carried);
  const { publicKey } = xwing.keygen(hybridSeed);
  const { cipherText, sharedSecret } = xwing.encapsulate(publicKey, filled(0x66, 64));
  const ciphertext = seal({ kemId: 0x647a, secret: sharedSecret, info: hybridInfo, psk, plaintext });
  return {
    type,
    hybrid: {
      suite: 'MLKEM768-X25519',
      encapsulatedKey: base64url(cipherText),
      ciphertext: base64url(ciphertext),
    },
    kind: 'hpke',
    encapsulatedKey: base64url(first.encapsulatedKey),
    ciphertext: base64url(first.ciphertext),
  };
}

const flipped = (text, at) => {
  const bytes = Buffer.from(text, 'base64url');
  bytes[at] ^= 1;
  return base64url(bytes);
};
const good = wrap();
const withLayer = (changes) => ({ ...good, hybrid: { ...good.hybrid, ...changes } });
const { hybrid: _, ...withoutLayer } = good;
const withPolicy = { ...plain, releasePolicy: createHash('sha256').update('a release policy').digest('hex') };

const vectors = {
  'valid': ['a model key for one lease', {}],
  'valid-release-policy': ['the same lease of a model with a release policy', { wrappedKey: wrap({ context: withPolicy }), context: withPolicy }],
  'other-lease': ['made for another lease', { wrappedKey: wrap({ context: { ...plain, lease: { ...lease, id: lease.id.replace('3', '4') } } }), expect: 'hpke-open' }],
  'other-lease-second-layer': ['only its second layer was made for another lease', { wrappedKey: wrap({ hybridInfo: infoOf({ ...plain, lease: { ...lease, id: lease.id.replace('3', '4') } }) }), expect: 'hpke-open' }],
  'policy-left-out': ['made without the release policy that the device verified', { context: withPolicy, expect: 'hpke-open' }],
  'former-type': ['its layers were made under edgekeep-wrapped-key/v2', { wrappedKey: wrap({ info: infoOf(plain, 'edgekeep-wrapped-key/v2') }), expect: 'hpke-open' }],
  'other-hybrid-key': ['its second layer is for the hybrid key of another device', { wrappedKey: wrap({ hybridSeed: filled(0x23) }), expect: 'hpke-open' }],
  'other-first-layer': ['its first layer carries another secret than its second layer asks for', { wrappedKey: { ...good, ciphertext: wrap({ carried: filled(0x45) }).ciphertext }, expect: 'hpke-open' }],
  'no-psk': ['its second layer is in mode base: the hybrid key alone would open it', { wrappedKey: wrap({ psk: { psk: Buffer.alloc(0), pskId: Buffer.alloc(0) } }), expect: 'hpke-open' }],
  'other-psk-id': ['its psk has another name', { wrappedKey: wrap({ psk: { psk: firstPsk, pskId: Buffer.from('edgekeep-wrapped-key/v2') } }), expect: 'hpke-open' }],
  'changed-ml-kem': ['one bit of the ciphertext of ML-KEM-768 was changed', { wrappedKey: withLayer({ encapsulatedKey: flipped(good.hybrid.encapsulatedKey, 0) }), expect: 'hpke-open' }],
  'changed-x25519': ['one bit of the ephemeral key of X25519 was changed', { wrappedKey: withLayer({ encapsulatedKey: flipped(good.hybrid.encapsulatedKey, 1_088) }), expect: 'hpke-open' }],
  'changed-ciphertext': ['one bit of the second ciphertext was changed', { wrappedKey: withLayer({ ciphertext: flipped(good.hybrid.ciphertext, 0) }), expect: 'hpke-open' }],
  'short-encapsulated-key': ['the encapsulated key has one byte less', { wrappedKey: withLayer({ encapsulatedKey: base64url(Buffer.from(good.hybrid.encapsulatedKey, 'base64url').subarray(0, 1_119)) }), expect: 'hpke-open' }],
  'unknown-suite': ['a suite that this page does not name', { wrappedKey: withLayer({ suite: 'MLKEM768-P256' }), expect: 'refused' }],
  'layer-left-out': ['the second layer was taken out', { wrappedKey: withoutLayer, expect: 'refused' }],
  'layer-of-v2': ['a second layer under another type', { wrappedKey: { ...good, type: 'edgekeep-wrapped-key/v2' }, expect: 'refused' }],
  'type-left-out': ['a second layer under no type', { wrappedKey: (({ type: _type, ...rest }) => rest)(good), expect: 'refused' }],
  'padding': ['a text of the second layer has padding', { wrappedKey: withLayer({ ciphertext: `${good.hybrid.ciphertext}=` }), expect: 'refused' }],
};

/** A third implementation opens what must open. */
async function assertOpens({ wrappedKey: { hybrid }, context }) {
  const suite = new CipherSuite(KEM_MLKEM768_X25519, KDF_HKDF_SHA256, AEAD_AES_256_GCM);
  const keys = {
    privateKey: await suite.DeserializePrivateKey(seed),
    publicKey: await suite.DeserializePublicKey(xwing.keygen(seed).publicKey),
  };
  const [enc, ciphertext] = [hybrid.encapsulatedKey, hybrid.ciphertext].map((text) => Buffer.from(text, 'base64url'));
  const opened = await suite.Open(keys, enc, ciphertext, { info: infoOf(context), psk: firstPsk, pskId: Buffer.from(type) });
  if (!Buffer.from(opened).equals(modelKey)) throw new Error('the package hpke opens another key');
}

await mkdir(folder, { recursive: true });
for (const [name, [comment, { context = plain, wrappedKey = good, expect = 'opens' }]] of Object.entries(vectors)) {
  if (expect === 'opens') await assertOpens({ wrappedKey, context });
  const vector = {
    comment,
    expect,
    context,
    info: hex(infoOf(context)),
    agreementKey: hex(agreement.getPrivateKey()),
    hybridSeed: hex(seed),
    hybridKey: hex(xwing.keygen(seed).publicKey),
    psk: hex(firstPsk),
    modelKey: hex(modelKey),
    wrappedKey,
  };
  await writeFile(new URL(`${name}.json`, folder), `${JSON.stringify(vector, null, 2)}\n`);
}
