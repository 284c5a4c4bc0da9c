// Every use of cryptography in the product: what it is called in the code, what it is for, what breaks it, and what it goes to. From this
// table come docs/cbom.json and the table of docs/design/post-quantum.md; tests/cbom.test.ts compares it with the source.

/** Kinds and functions are words of CycloneDX 1.6, `cryptoProperties.algorithmProperties`. */
export interface Algorithm {
  readonly name: string;
  /** How the code writes it: in a text, in lower case. */
  readonly words: readonly string[];
  /** Functions of node:crypto that are this algorithm. */
  readonly calls?: readonly string[];
  readonly primitive:
    | 'signature'
    | 'hash'
    | 'ae'
    | 'kem'
    | 'key-agree'
    | 'mac'
    | 'kdf'
    | 'pke'
    | 'block-cipher'
    | 'drbg'
    | 'other';
  readonly functions: readonly CryptoFunction[];
  readonly parameters?: string;
  readonly curve?: string;
  readonly oid?: string;
  readonly classicalBits: number;
  /** NIST's category of security against a quantum computer; 0: it falls to one. */
  readonly quantumLevel: 0 | 1 | 2 | 3 | 4 | 5;
  readonly uses: string;
  readonly breaks: string;
  readonly goesTo: string;
}

type CryptoFunction =
  | 'generate'
  | 'keygen'
  | 'encrypt'
  | 'decrypt'
  | 'digest'
  | 'tag'
  | 'keyderive'
  | 'sign'
  | 'verify'
  | 'encapsulate'
  | 'decapsulate'
  | 'other';

const signs = ['keygen', 'sign', 'verify'] as const;
const digests = ['digest'] as const;
const ciphers = ['encrypt', 'decrypt'] as const;
const forged = 'forged by a quantum computer from the public key';
const grover = 'no: Grover halves the bits on paper, and does not parallelize';

const signatures: readonly Algorithm[] = [
  {
    name: 'ECDSA P-256',
    words: [
      'ecdsa',
      'ecdsa-p256-sha256',
      'es256',
      'ec',
      'p-256',
      'p256',
      'prime256v1',
      'ckm_ecdsa',
      'ckm_ec_key_pair_gen',
    ],
    primitive: 'signature',
    functions: signs,
    curve: 'P-256',
    oid: '1.2.840.10045.4.3.2',
    classicalBits: 128,
    quantumLevel: 0,
    uses: 'TLS certificates and their CAs, operational keys, attestation keys, attestation results, model signatures, secure elements',
    breaks: forged,
    goesTo: 'ML-DSA-65 beside it for models; certificates when TLS stacks take ML-DSA; a TPM when its maker does',
  },
  {
    name: 'ECDSA P-384',
    words: ['ecdsa-p384-sha384', 'p-384', 'p384', 'secp384r1'],
    primitive: 'signature',
    functions: signs,
    curve: 'P-384',
    oid: '1.2.840.10045.4.3.3',
    classicalBits: 192,
    quantumLevel: 0,
    uses: "roots and model signatures by choice, makers' certificates, endorsement keys of a TPM (for agreement)",
    breaks: forged,
    goesTo: 'ML-DSA-65 beside it',
  },
  {
    name: 'ECDSA P-521',
    words: ['ecdsa-p521-sha512', 'p-521', 'p521', 'secp521r1'],
    primitive: 'signature',
    functions: signs,
    curve: 'P-521',
    oid: '1.2.840.10045.4.3.4',
    classicalBits: 256,
    quantumLevel: 0,
    uses: "model signatures by choice, makers' certificates",
    breaks: forged,
    goesTo: 'ML-DSA-65 beside it',
  },
  {
    name: 'Ed25519',
    words: ['ed25519', 'eddsa'],
    primitive: 'signature',
    functions: signs,
    curve: 'Ed25519',
    oid: '1.3.101.112',
    classicalBits: 128,
    quantumLevel: 0,
    uses: 'checkpoints of the audit log, cosignatures of witnesses, detached signatures on files',
    breaks: forged,
    goesTo: 'ML-DSA-44 cosignatures beside it; a detached signature stays, for verifiers in the field',
  },
  {
    name: 'RSA signatures',
    words: ['rsa', 'rsassa', 'rsassa-pss', 'rsapss', 'rsa-pss', 'rsa-2048', 'rsa-2048-no-da', 'rsa-3072'],
    calls: ['publicDecrypt'],
    primitive: 'signature',
    functions: ['verify'],
    parameters: '2048 to 8192',
    oid: '1.2.840.113549.1.1.11',
    classicalBits: 112,
    quantumLevel: 0,
    uses: "makers' certificates and attestation keys of TPMs, read only; the agent can be set to a P-256 or P-384 endorsement key",
    breaks: forged,
    goesTo: 'what the makers of TPMs ship',
  },
  {
    name: 'ML-DSA-44',
    words: ['ml-dsa-44'],
    primitive: 'signature',
    functions: signs,
    parameters: '44',
    oid: '2.16.840.1.101.3.4.3.17',
    classicalBits: 128,
    quantumLevel: 2,
    uses: 'cosignatures of witnesses and the log’s second signature on checkpoints, beside Ed25519',
    breaks: 'no: both signatures would have to fall',
    goesTo: 'stays',
  },
  {
    name: 'ML-DSA-65',
    words: ['ml-dsa-65'],
    primitive: 'signature',
    functions: signs,
    parameters: '65',
    oid: '2.16.840.1.101.3.4.3.18',
    classicalBits: 192,
    quantumLevel: 3,
    uses: 'signatures on models, beside ECDSA',
    breaks: 'no: both signatures would have to fall',
    goesTo: 'stays',
  },
];

const agreements: readonly Algorithm[] = [
  {
    name: 'X25519MLKEM768',
    words: ['x25519mlkem768'],
    primitive: 'kem',
    functions: ['keygen', 'encapsulate', 'decapsulate'],
    parameters: '768',
    classicalBits: 128,
    quantumLevel: 3,
    uses: 'key exchange of every TLS connection between agent, hub and command line',
    breaks: 'no: both halves would have to fall',
    goesTo: 'stays',
  },
  {
    name: 'X25519',
    words: ['x25519'],
    primitive: 'key-agree',
    functions: ['keygen', 'keyderive'],
    curve: 'Curve25519',
    oid: '1.3.101.110',
    classicalBits: 128,
    quantumLevel: 0,
    uses: 'key exchange with a TLS peer that knows no hybrid group',
    breaks: 'recorded today, opened by a quantum computer later',
    goesTo: 'X25519MLKEM768, which is preferred already',
  },
  {
    name: 'ECDH P-256, P-384, P-521',
    words: ['ecdh', 'ckm_ecdh1_derive'],
    calls: ['createECDH', 'ECDH', 'diffieHellman'],
    primitive: 'key-agree',
    functions: ['keygen', 'keyderive'],
    curve: 'P-256',
    oid: '1.3.132.1.12',
    classicalBits: 128,
    quantumLevel: 0,
    uses: 'a key wrapped for a TPM (import under a P-256, P-384 or P-521 endorsement key), a secure element, a device of the tiers dice and software; TLS with old peers',
    breaks: 'recorded today, opened by a quantum computer later; TLS around it is hybrid',
    goesTo: 'a hybrid wrap where the key is in software; a TPM and an element know nothing else',
  },
  {
    name: 'HPKE, DHKEM(P-256)',
    words: ['hpke', 'hpke-v1', 'hpke-open'],
    primitive: 'pke',
    functions: ciphers,
    curve: 'P-256',
    classicalBits: 128,
    quantumLevel: 0,
    uses: 'the model key for a device without a TPM; the secret that an enrolling device opens',
    breaks: 'recorded today, opened by a quantum computer later; TLS around it is hybrid',
    goesTo: 'a hybrid wrap where the key is in software',
  },
  {
    name: 'RSA-OAEP',
    words: ['rsaes', 'rsaes-oaep', 'oaep'],
    calls: ['publicEncrypt'],
    primitive: 'pke',
    functions: ['encrypt'],
    parameters: '2048 to 8192',
    oid: '1.2.840.113549.1.1.7',
    classicalBits: 112,
    quantumLevel: 0,
    uses: 'a key or a credential for a TPM under its RSA endorsement key',
    breaks: 'recorded today, opened by a quantum computer later; TLS around it is hybrid',
    goesTo: 'what the makers of TPMs ship',
  },
];

const symmetric: readonly Algorithm[] = [
  {
    name: 'AES-256-GCM',
    words: ['aes-256-gcm', 'tls_aes_256_gcm_sha384'],
    primitive: 'ae',
    functions: ciphers,
    parameters: '256',
    oid: '2.16.840.1.101.3.4.1.46',
    classicalBits: 256,
    quantumLevel: 5,
    uses: 'sealed model files (FLOE), keys at rest, backups, wrapped keys, TLS records (preferred)',
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'AES-128-GCM',
    words: ['tls_aes_128_gcm_sha256'],
    primitive: 'ae',
    functions: ciphers,
    parameters: '128',
    classicalBits: 128,
    quantumLevel: 1,
    uses: 'TLS records with a peer that asks for it',
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'ChaCha20-Poly1305',
    words: ['tls_chacha20_poly1305_sha256'],
    primitive: 'ae',
    functions: ciphers,
    parameters: '256',
    classicalBits: 256,
    quantumLevel: 5,
    uses: 'TLS records with a peer that asks for it',
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'AES-256-CBC',
    words: ['aes-256-cbc'],
    primitive: 'block-cipher',
    functions: ciphers,
    parameters: '256',
    oid: '2.16.840.1.101.3.4.1.42',
    classicalBits: 256,
    quantumLevel: 5,
    uses: 'a private key in a file under a passphrase (PBES2)',
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'AES-CFB',
    words: ['aes'],
    primitive: 'block-cipher',
    functions: ciphers,
    parameters: '128 or 256',
    classicalBits: 128,
    quantumLevel: 1,
    uses: "parameters of TPM sessions, blobs for a TPM: the length is that of the endorsement key's template",
    breaks: grover,
    goesTo: '256 bits with an endorsement key on P-384',
  },
  {
    name: 'AES-KWP',
    words: ['ckm_aes_key_wrap_pad', 'ckm_aes_key_gen'],
    primitive: 'block-cipher',
    functions: ciphers,
    parameters: '256',
    classicalBits: 256,
    quantumLevel: 5,
    uses: "the hub's secret under a key of a PKCS#11 token",
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'HMAC',
    words: ['hmac'],
    calls: ['createHmac'],
    primitive: 'mac',
    functions: ['tag'],
    classicalBits: 256,
    quantumLevel: 5,
    uses: 'TPM sessions and blobs, device tokens, key derivation',
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'HKDF',
    words: ['kdf'],
    calls: ['hkdfSync'],
    primitive: 'kdf',
    functions: ['keyderive'],
    classicalBits: 256,
    quantumLevel: 5,
    uses: "keys of files from the model key, keys of purposes from the hub's secret, KDFa and KDFe of a TPM",
    breaks: grover,
    goesTo: 'stays',
  },
  {
    name: 'scrypt',
    words: [],
    calls: ['scrypt', 'scryptSync'],
    primitive: 'kdf',
    functions: ['keyderive'],
    oid: '1.3.6.1.4.1.11591.4.11',
    classicalBits: 0,
    quantumLevel: 1,
    uses: "a key from a passphrase: the hub's secret, private keys in files",
    breaks: 'as strong as the passphrase',
    goesTo: 'stays',
  },
  {
    name: 'Shamir secret sharing',
    words: ['shamir-secret-sharing'],
    primitive: 'other',
    functions: ['other'],
    classicalBits: 256,
    quantumLevel: 5,
    uses: "the hub's secret divided among people",
    breaks: 'no: below the threshold it holds no information',
    goesTo: 'stays',
  },
  {
    name: 'Random numbers of OpenSSL',
    words: [],
    calls: ['randomBytes', 'randomUUID'],
    primitive: 'drbg',
    functions: ['generate'],
    classicalBits: 256,
    quantumLevel: 5,
    uses: 'keys, nonces, salts, identifiers',
    breaks: grover,
    goesTo: 'stays',
  },
];

const hash = (
  name: string,
  words: readonly string[],
  [classicalBits, quantumLevel]: readonly [number, Algorithm['quantumLevel']],
  uses: string,
  changes: { readonly breaks?: string; readonly goesTo?: string } = {},
): Algorithm => ({
  name,
  words,
  primitive: 'hash',
  functions: digests,
  classicalBits,
  quantumLevel,
  uses,
  breaks: grover,
  goesTo: 'stays',
  ...changes,
});

const hashes: readonly Algorithm[] = [
  hash('SHA-256', ['sha256', 'sha-256'], [128, 2], 'the audit log, manifests, PCRs, certificates, tokens, identities'),
  hash('SHA-384', ['sha384', 'sha-384'], [192, 4], 'FLOE, PCR banks, DICE measurements, TLS'),
  hash('SHA-512', ['sha512', 'sha-512'], [256, 5], 'PCR banks, DICE measurements, signatures on P-521'),
  hash('SHA3-256, SHA3-384, SHA3-512', ['sha3-256', 'sha3-384', 'sha3-512'], [128, 2], 'DICE measurements of a maker'),
  hash('BLAKE2b', ['blake2b', 'blake2b512'], [256, 5], 'model signatures of others, read only'),
  hash('SHA-1', ['sha1', 'sha-1'], [0, 0], 'OCSP names and event logs of old firmware, where it decides nothing', {
    breaks: 'broken without a quantum computer',
    goesTo: 'stays where the formats of others ask for it; refused in signatures',
  }),
  hash('SHA-224, MD5, MD2', ['sha-224', 'md5', 'md2'], [0, 0], 'none: names in a refusal', {
    breaks: 'broken or too short',
    goesTo: 'refused',
  }),
];

export const algorithms: readonly Algorithm[] = [...signatures, ...agreements, ...symmetric, ...hashes];

/** Functions of node:crypto that get an algorithm by its name or by the kind of a key; the name is a word of the table. */
export const generalCalls: readonly string[] = [
  'createCipheriv',
  'createDecipheriv',
  'createHash',
  'createPrivateKey',
  'createPublicKey',
  'createSecretKey',
  'generateKeyPair',
  'generateKeyPairSync',
  'hash',
  'sign',
  'verify',
];

/** What else is imported from node:crypto, and computes nothing that an attacker could break. */
export const otherImports: readonly string[] = ['Hash', 'KeyObject', 'X509Certificate', 'constants', 'timingSafeEqual'];
