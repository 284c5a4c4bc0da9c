// The bare cryptography of one release of a key, and nothing else: every key is parsed in advance, no JSON, no store, no HTTP. A process of its own, so
// that its processor time is its own: `{ sets, bytesIn, bytesOut }` over IPC, answered with milliseconds of each part of one release.
import {
  constants,
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  publicEncrypt,
  randomBytes,
  sign,
  verify,
} from 'node:crypto';

export interface BareOrder {
  readonly sets: number;
  /** Of HTTP, in the requests and the answers of one release. */
  readonly bytesIn: number;
  readonly bytesOut: number;
}

/** Milliseconds of processor time of one release, by part. */
export interface BareAnswer {
  readonly verify: number;
  readonly sign: number;
  readonly wrap: number;
  readonly records: number;
}

// TLS 1.3: at most this many bytes in a record.
const RECORD_BYTES_MAX = 16_384;
const quoteBytes = 150;
const resultBytes = 900;
const tagLength = 16;

const attestation = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
const quote = randomBytes(quoteBytes);
const quoteSignature = sign('sha256', quote, attestation.privateKey);
const result = randomBytes(resultBytes);
const resultKey = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey;
const platformKey = createSecretKey(randomBytes(32));
const endorsement = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
const mlKem = createPublicKey(generateKeyPairSync('ml-kem-768').privateKey);
const curve = generateKeyPairSync('x25519').publicKey;
const traffic = createSecretKey(randomBytes(32));
const nonce = randomBytes(12);

function verifyQuote(): void {
  if (!verify('sha256', quote, attestation.publicKey, quoteSignature)) throw new Error('the quote did not verify');
}

function signResult(): void {
  sign('sha256', result, resultKey);
}

const seal = (key: Parameters<typeof createCipheriv>[1], bytes: Uint8Array) => {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.update(bytes);
  cipher.final();
  return cipher.getAuthTag();
};

const mac = (key: Parameters<typeof createHmac>[1], bytes: Uint8Array) =>
  createHmac('sha256', key).update(bytes).digest();

const modelKey = randomBytes(32);
const context = randomBytes(400);

/** The model key out of the store, under the hybrid key, and what opens that under the key of the TPM (spec/access.md, "Hybrid wraps"). */
function wrapKey(): void {
  createDecipheriv('aes-256-gcm', platformKey, nonce).update(modelKey);
  // X-Wing.
  const ephemeral = generateKeyPairSync('x25519');
  const { sharedKey } = encapsulate(mlKem);
  const agreed = diffieHellman({ privateKey: ephemeral.privateKey, publicKey: curve });
  const secret = createHash('sha3-256').update(sharedKey).update(agreed).digest();
  // The key schedule of HPKE: three extractions, two expansions.
  for (let step = 0; step < 5; step += 1) mac(secret, context);
  seal(secret, modelKey);
  // What TPM2_Import takes.
  const seed = randomBytes(32);
  publicEncrypt(
    {
      key: endorsement,
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: 'sha256',
      oaepLabel: Buffer.from('DUPLICATE\0'),
    },
    seed,
  );
  const seedKey = createSecretKey(seed);
  const [key, macKey] = [mac(seedKey, nonce), mac(seedKey, nonce)];
  createCipheriv('aes-128-cfb', key.subarray(0, 16), Buffer.alloc(16)).update(randomBytes(110));
  mac(macKey, context);
  // Its name, its unique value, its policy and the context.
  for (let each = 0; each < 5; each += 1) createHash('sha256').update(context).digest();
}

const zeros = Buffer.alloc(RECORD_BYTES_MAX);

function records(bytesIn: number, bytesOut: number): void {
  for (let left = bytesIn; left > 0; left -= RECORD_BYTES_MAX) {
    const opened = createDecipheriv('aes-256-gcm', traffic, nonce, { authTagLength: tagLength });
    opened.update(zeros.subarray(0, Math.min(left, RECORD_BYTES_MAX)));
  }
  for (let left = bytesOut; left > 0; left -= RECORD_BYTES_MAX)
    seal(traffic, zeros.subarray(0, Math.min(left, RECORD_BYTES_MAX)));
}

function milliseconds(sets: number, work: () => void): number {
  const before = process.cpuUsage();
  for (let set = 0; set < sets; set += 1) work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000 / sets;
}

function measure({ sets, bytesIn, bytesOut }: BareOrder): BareAnswer {
  return {
    verify: milliseconds(sets, verifyQuote),
    sign: milliseconds(sets, signResult),
    wrap: milliseconds(sets, wrapKey),
    // A release is two requests, and the first of them is short.
    records: milliseconds(sets, () => {
      records(200, 500);
      records(bytesIn - 200, bytesOut - 500);
    }),
  };
}

process.on('message', (order: BareOrder) => process.send?.({ kind: 'done', answer: measure(order) }));
process.once('disconnect', () => process.exit(0));
