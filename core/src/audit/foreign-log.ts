// Checkpoints of logs that are not ours: their keys of the other types that c2sp.org/signed-note lists. ECDSA (0x02, over the note's text),
// RFC 6962 tree heads (0x05, c2sp.org/static-ct-api) and ML-DSA-44 alone (0x06, c2sp.org/tlog-cosignature).
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { ByteReader, ByteWriter, concat, parseBase64, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { mlDsaKeyOf } from '../post-quantum/ml-dsa.ts';
import { type Checkpoint, type CheckpointVerdict, parseCheckpoint } from './checkpoint.ts';
import { parseNote, signaturesBy, type SignedNote, type VerifierKey, verifierKey } from './note.ts';
import { treeCosignedAt } from './subtree-cosignature.ts';

/** A key of a log that only readers of foreign logs take. */
export interface ForeignLogKey {
  readonly name: string;
  /** 8 hex digits. */
  readonly id: string;
  readonly type: 'ecdsa' | 'rfc6962' | 'ml-dsa-44';
  readonly publicKey: KeyObject;
}

const typeOf: ReadonlyMap<number | undefined, ForeignLogKey['type']> = new Map([
  [0x02, 'ecdsa'],
  [0x05, 'rfc6962'],
  [0x06, 'ml-dsa-44'],
]);
const curves: ReadonlySet<string | undefined> = new Set(['prime256v1', 'secp384r1', 'secp521r1']);

/** Reads a vkey of one of these types; undefined for any other, which `parseVerifierKey` reads. Throws `key-invalid`. */
export function parseForeignLogKey(text: string): ForeignLogKey | undefined {
  const [, name = '', id = '', encoded] = /^([^+\s]+)\+([0-9a-fA-F]{8})\+([A-Za-z0-9+/=]+)$/u.exec(text) ?? [];
  if (encoded === undefined) return undefined;
  const typed = parseBase64(encoded, `verifier key of ${name}`);
  const type = typeOf.get(typed[0]);
  if (type === undefined) return undefined;
  const key = keyOf(name, type, typed.subarray(1));
  if (key.id !== id.toLowerCase())
    throw new CoreError('key-invalid', `${name}: the key id is ${key.id}, not ${id.toLowerCase()}`);
  return key;
}

function keyOf(name: string, type: ForeignLogKey['type'], raw: Uint8Array): ForeignLogKey {
  if (type === 'ml-dsa-44') {
    const { id, publicKey } = verifierKey(name, mlDsaKeyOf('ml-dsa-44', raw), 'cosignature-ml-dsa-44');
    return { name, id, type, publicKey };
  }
  const publicKey = spkiKey(name, raw);
  const isEc = publicKey.asymmetricKeyType === 'ec' && curves.has(publicKey.asymmetricKeyDetails?.namedCurve);
  const isRsa = publicKey.asymmetricKeyType === 'rsa' && (publicKey.asymmetricKeyDetails?.modulusLength ?? 0) >= 2_048;
  // RFC 6962 section 2.1.4: ECDSA, or RSA of at least 2048 bits.
  if (type === 'ecdsa' ? !isEc : !isEc && !isRsa)
    throw new CoreError(
      'key-invalid',
      `${name}: expected a public key of P-256, P-384 or P-521${type === 'rfc6962' ? ', or RSA' : ''}`,
    );
  const spki = hash('sha256', raw, 'buffer');
  // static-ct-api: over the log id, which is the hash of the key; signed-note: ECDSA keys have the hash of the key itself.
  const digest =
    type === 'ecdsa' ? spki : hash('sha256', concat(utf8(`${name}\n`), Uint8Array.of(0x05), spki), 'buffer');
  return { name, id: toHex(digest.subarray(0, 4)), type, publicKey };
}

function spkiKey(name: string, der: Uint8Array): KeyObject {
  try {
    return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
  } catch (cause) {
    throw new CoreError('key-invalid', `${name}: the public key cannot be read`, { cause });
  }
}

/** As `openCheckpoint`, with such a key. */
export function openForeignCheckpoint(bytes: Uint8Array, key: ForeignLogKey, origin = key.name): CheckpointVerdict {
  const note = parseNote(bytes);
  const checkpoint = parseCheckpoint(note.text);
  const refused = (failed: 'origin' | 'signature', reason: string): CheckpointVerdict => ({
    kind: 'refused',
    failed,
    reasons: [reason],
  });
  if (checkpoint.origin !== origin)
    return refused(
      'origin',
      `the checkpoint is of ${JSON.stringify(checkpoint.origin)}, not of ${JSON.stringify(origin)}`,
    );
  const who = `${key.name}+${key.id}`;
  if (linesOf(note, key) === 0) return refused('signature', `no signature by ${who}`);
  if (!isSigned(note, checkpoint, key)) return refused('signature', `the signature by ${who} is false`);
  return { kind: 'verified', checkpoint, note };
}

/** A checkpoint of a log whose key the reader does not have: nothing is verified here, the reader asks for cosignatures of witnesses. */
export function openUnsignedCheckpoint(bytes: Uint8Array, origin: string): CheckpointVerdict {
  const note = parseNote(bytes);
  const checkpoint = parseCheckpoint(note.text);
  if (checkpoint.origin === origin) return { kind: 'verified', checkpoint, note };
  const reason = `the checkpoint is of ${JSON.stringify(checkpoint.origin)}, not of ${JSON.stringify(origin)}`;
  return { kind: 'refused', failed: 'origin', reasons: [reason] };
}

function linesOf(note: SignedNote, key: ForeignLogKey): number {
  return note.signatures.filter(({ name, keyId }) => name === key.name && keyId === key.id).length;
}

// Each line by the key must be true (signed-note, "Signatures").
function isSigned(note: SignedNote, checkpoint: Checkpoint, key: ForeignLogKey): boolean {
  if (key.type === 'ml-dsa-44') {
    const asKey: VerifierKey = { ...key, type: 'cosignature-ml-dsa-44' };
    return treeCosignedAt(note, checkpoint, asKey) !== false;
  }
  const own = signaturesBy(note, { ...key, type: 'ed25519' });
  return own.every(({ signature }) =>
    key.type === 'ecdsa'
      ? verify('sha256', utf8(note.text), key.publicKey, signature)
      : isTreeHead(signature, checkpoint, key.publicKey),
  );
}

const hashSha256 = 4;
const signatureKinds: Readonly<Record<string, number>> = { rsa: 1, ec: 3 };

// RFC 6962 section 3.5: version 1, tree_hash, timestamp, size, root; in a digitally-signed structure of RFC 5246.
function isTreeHead(body: Uint8Array, { size, root, extensions }: Checkpoint, publicKey: KeyObject): boolean {
  // The signature does not cover extension lines, so there may be none.
  if (extensions.length > 0 || body.length < 12) return false;
  const reader = new ByteReader(body, 'tree head signature');
  const timestamp = reader.u64();
  const hashKind = reader.u8();
  const kind = reader.u8();
  const length = reader.u16();
  if (length !== body.length - 12) return false;
  const signature = reader.bytes(length);
  if (hashKind !== hashSha256 || kind !== signatureKinds[publicKey.asymmetricKeyType ?? '']) return false;
  const signed = new ByteWriter().u8(0).u8(1).u64(timestamp).u64(BigInt(size)).bytes(root).finish();
  return verify('sha256', signed, publicKey, signature);
}
