// Signed notes as c2sp.org/signed-note defines them: the text form, verifier keys, and plain Ed25519 signatures (type 0x01). Timestamped
// cosignatures are in cosignature.ts (type 0x04, Ed25519) and subtree-cosignature.ts (type 0x06, ML-DSA-44).
import { createPublicKey, hash, type KeyObject, verify } from 'node:crypto';
import { concat, parseBase64, parseUtf8, toBase64, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type MlDsaSigner, mlDsaKeyOf, rawMlDsaKey } from '../post-quantum/ml-dsa.ts';
import type { Signer } from '../signer.ts';

/** signed-note requires at least 16; a fleet's checkpoint carries the cosignatures of many devices. */
const NOTE_SIGNATURES_MAX = 256;

/** Room for 128 witnesses with a line of Ed25519 and one of ML-DSA-44 (3.4 kB) each; more is refused before it is decoded. */
export const NOTE_BYTES_MAX = 524_288;

/** signed-note, "Signature types": the byte in key ids and verifier keys. */
const typeBytes = { ed25519: 0x01, 'cosignature-v1': 0x04, 'cosignature-ml-dsa-44': 0x06 } as const;
type NoteKeyType = keyof typeof typeBytes;
type ClassicalType = Exclude<NoteKeyType, 'cosignature-ml-dsa-44'>;

/** A key that verifies notes. `id` is the key id as 8 hex digits; name and id together identify the key. */
export interface VerifierKey {
  readonly name: string;
  readonly id: string;
  readonly type: NoteKeyType;
  readonly publicKey: KeyObject;
  /** A key of type 0x06 under the same name. Where there is one, both must have signed. */
  readonly postQuantum?: VerifierKey | undefined;
}

/** A key that signs notes under a name. The signer must be Ed25519; with a signer of ML-DSA-44 there are two signatures. */
export interface NoteSigner {
  readonly name: string;
  readonly signer: Signer;
  readonly postQuantum?: MlDsaSigner | undefined;
}

export interface NoteSignature {
  readonly name: string;
  /** 8 hex digits. */
  readonly keyId: string;
  readonly signature: Uint8Array;
}

export interface SignedNote {
  /** Ends in a newline; the blank line before the signatures does not belong to it. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

const signatureMark = '— ';
// signed-note: no ASCII control characters except the newline.
// oxlint-disable-next-line no-control-regex
const controlCharacter = /[\u0000-\u0009\u000b-\u001f]/;
const forbiddenInName = /[\p{White_Space}+]/u;

/** Reads a note strictly; throws `note-invalid` with the reason. Nothing is verified: trust the text only after `verifyNote`. */
export function parseNote(bytes: Uint8Array): SignedNote {
  if (bytes.length > NOTE_BYTES_MAX)
    throw invalid(`a note of ${bytes.length} bytes, at most ${NOTE_BYTES_MAX} are read`);
  const whole = parseUtf8(bytes, 'signed note');
  if (controlCharacter.test(whole)) throw invalid('a control character other than newline');
  const blank = whole.lastIndexOf('\n\n');
  if (blank === -1 || !whole.endsWith('\n')) {
    throw invalid('expected text, a blank line, and signature lines that end in a newline');
  }
  const lines = whole.slice(blank + 2, -1).split('\n');
  if (lines.length > NOTE_SIGNATURES_MAX) {
    throw invalid(`${lines.length} signatures, at most ${NOTE_SIGNATURES_MAX} are read`);
  }
  return { text: whole.slice(0, blank + 1), signatures: lines.map(parseSignatureLine) };
}

/** One `— name base64` line, without its newline. */
function parseSignatureLine(line: string): NoteSignature {
  if (!line.startsWith(signatureMark)) throw invalid(`expected a line that starts with an em dash and a space`);
  const [name, encoded, ...more] = line.slice(signatureMark.length).split(' ');
  if (name === undefined || encoded === undefined || more.length > 0) {
    throw invalid('expected a signature line of key name and base64, one space between them');
  }
  if (!isKeyName(name)) throw invalid('a key name is not empty and holds no white space and no plus sign');
  const bytes = parseBase64(encoded, `signature of ${name}`);
  if (bytes.length < 5) throw invalid(`the signature of ${name} has ${bytes.length} bytes, less than key id and one`);
  return { name, keyId: toHex(bytes.subarray(0, 4)), signature: bytes.subarray(4) };
}

function encodeSignatureLine({ name, keyId, signature }: NoteSignature): string {
  return `${signatureMark}${name} ${toBase64(concat(Buffer.from(keyId, 'hex'), signature))}\n`;
}

/** The bytes of a note; the text and names must meet the rules of `parseNote`. */
export function encodeNote({ text, signatures }: SignedNote): Uint8Array {
  if (!text.endsWith('\n') || controlCharacter.test(text) || !text.isWellFormed()) {
    throw invalid('the text must end in a newline and hold no control characters');
  }
  if (signatures.length === 0 || signatures.length > NOTE_SIGNATURES_MAX) {
    throw invalid(`a note carries 1 to ${NOTE_SIGNATURES_MAX} signatures, not ${signatures.length}`);
  }
  return utf8(`${text}\n${signatures.map(encodeSignatureLine).join('')}`);
}

/** Signs a text with an Ed25519 key (type 0x01). */
export async function signNote(text: string, { name, signer }: NoteSigner): Promise<SignedNote> {
  const key = verifierKey(name, signer.publicKey, 'ed25519');
  return { text, signatures: [{ name, keyId: key.id, signature: await signer.sign(utf8(text)) }] };
}

export type NoteVerdict =
  | { readonly kind: 'verified' }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Whether the note carries a signature of this Ed25519 key, and no false one under its name and id. Other keys' lines are ignored. */
export function verifyNote(note: SignedNote, key: VerifierKey): NoteVerdict {
  if (key.type !== 'ed25519') {
    return { kind: 'refused', reasons: [`${key.name}: a cosigner's key cannot sign as the log`] };
  }
  const own = signaturesBy(note, key);
  if (own.length === 0) return { kind: 'refused', reasons: [`no signature by ${key.name}+${key.id}`] };
  const text = utf8(note.text);
  const allTrue = own.every(({ signature }) => verify(null, text, key.publicKey, signature));
  return allTrue
    ? { kind: 'verified' }
    : { kind: 'refused', reasons: [`the signature by ${key.name}+${key.id} is false`] };
}

/** The signature lines under the key's name and id. */
export function signaturesBy(note: SignedNote, key: VerifierKey): readonly NoteSignature[] {
  return note.signatures.filter(({ name, keyId }) => name === key.name && keyId === key.id);
}

/** The verifier keys of a signer, as one; `type` is that of the Ed25519 key. */
export function verifierKeyOf({ name, signer, postQuantum }: NoteSigner, type: ClassicalType): VerifierKey {
  const classical = verifierKey(name, signer.publicKey, type);
  if (postQuantum === undefined) return classical;
  return { ...classical, postQuantum: verifierKey(name, postQuantum.publicKey, 'cosignature-ml-dsa-44') };
}

/** The Ed25519 key alone. For what was signed before there was another, and for what a holder of this key alone must answer for. */
export function classicalPart({ name, id, type, publicKey }: VerifierKey): VerifierKey {
  return { name, id, type, publicKey };
}

/** A verifier key for a public key; throws `key-invalid` unless it is of the type's kind and the name meets the rules. */
export function verifierKey(name: string, publicKey: KeyObject, type: NoteKeyType): VerifierKey {
  assertKeyName(name);
  return { name, id: toHex(keyId(name, typedKey(publicKey, type))), type, publicKey };
}

/**
 * Reads a vkey, `name+keyid+base64(type || key)`, or two with a space between them: one of type 0x01 or 0x04, then one of type 0x06 under the
 * same name, and both must sign. The key ids must be correct.
 */
export function parseVerifierKey(text: string): VerifierKey {
  const [first = '', second, ...more] = text.split(' ');
  const classical = parseOneKey(first);
  if (classical.type === 'cosignature-ml-dsa-44') {
    throw new CoreError(
      'key-invalid',
      `${classical.name}: a key of ML-DSA-44 follows one of Ed25519, and is never alone`,
    );
  }
  if (second === undefined) return classical;
  const postQuantum = parseOneKey(second);
  if (more.length > 0 || postQuantum.type !== 'cosignature-ml-dsa-44' || postQuantum.name !== classical.name) {
    throw new CoreError('key-invalid', `${classical.name}: expected a second key of type 0x06 under the same name`);
  }
  return { ...classical, postQuantum };
}

function parseOneKey(text: string): VerifierKey {
  const [, name, id, encoded] = /^([^+]*)\+([0-9a-fA-F]{8})\+(.*)$/su.exec(text) ?? [];
  if (name === undefined || id === undefined || encoded === undefined) {
    throw new CoreError('key-invalid', 'expected a verifier key of the form name+keyid+base64');
  }
  assertKeyName(name);
  const typed = parseBase64(encoded, `verifier key of ${name}`);
  const type = keyTypes.find((each) => typeBytes[each] === typed[0]);
  if (type === undefined || (type !== 'cosignature-ml-dsa-44' && typed.length !== 33)) {
    throw new CoreError(
      'key-invalid',
      `${name}: expected an Ed25519 key of type 0x01 or 0x04, or ML-DSA-44 of type 0x06`,
    );
  }
  const expected = toHex(keyId(name, typed));
  if (expected !== id.toLowerCase()) {
    throw new CoreError('key-invalid', `${name}: the key id is ${expected}, not ${id.toLowerCase()}`);
  }
  const raw = typed.subarray(1);
  const publicKey = type === 'cosignature-ml-dsa-44' ? mlDsaKeyOf('ml-dsa-44', raw) : ed25519PublicKey(raw);
  return { name, id: expected, type, publicKey };
}

const keyTypes: readonly NoteKeyType[] = ['ed25519', 'cosignature-v1', 'cosignature-ml-dsa-44'];

/** As `parseVerifierKey` reads it. */
export function encodeVerifierKey({ name, id, type, publicKey, postQuantum }: VerifierKey): string {
  const own = `${name}+${id}+${toBase64(typedKey(publicKey, type))}`;
  return postQuantum === undefined ? own : `${own} ${encodeVerifierKey(postQuantum)}`;
}

function keyId(name: string, typed: Uint8Array): Uint8Array {
  return hash('sha256', concat(utf8(`${name}\n`), typed), 'buffer').subarray(0, 4);
}

function typedKey(publicKey: KeyObject, type: NoteKeyType): Uint8Array {
  const raw = type === 'cosignature-ml-dsa-44' ? rawMlDsaKey('ml-dsa-44', publicKey) : rawEd25519(publicKey);
  return concat(Uint8Array.of(typeBytes[type]), raw);
}

// RFC 8410: an Ed25519 SubjectPublicKeyInfo is these twelve bytes and the key.
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');

function ed25519PublicKey(raw: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.concat([spkiPrefix, raw]), format: 'der', type: 'spki' });
}

function rawEd25519(publicKey: KeyObject): Uint8Array {
  if (publicKey.asymmetricKeyType !== 'ed25519' || publicKey.type !== 'public') {
    throw new CoreError('key-invalid', `notes are signed with Ed25519, found ${publicKey.asymmetricKeyType}`);
  }
  return publicKey.export({ format: 'der', type: 'spki' }).subarray(spkiPrefix.length);
}

function assertKeyName(name: string): void {
  if (!isKeyName(name)) {
    throw new CoreError('key-invalid', 'a key name is not empty and holds no white space and no plus sign');
  }
}

function isKeyName(name: string): boolean {
  return name !== '' && name.isWellFormed() && !forbiddenInName.test(name) && !controlCharacter.test(name);
}

function invalid(message: string): CoreError {
  return new CoreError('note-invalid', `signed note: ${message}`);
}
