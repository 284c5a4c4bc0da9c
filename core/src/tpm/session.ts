// Authorization of commands (TPM 2.0 Part 1, 19 and 21): the password entry, and sessions whose HMAC binds command and response to a key
// that only the TPM and we know. A session salted to a TPM key can also encrypt the first parameter, so that a probe on the bus between
// processor and TPM reads no key.
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { ByteReader, ByteWriter, concat, equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { digest, hashSize, type TpmHash } from './algorithm.ts';
import type { AuthorizationAnswer, AuthorizationEntry, TpmCommand } from './command.ts';
import { kdfa } from './kdf.ts';

/** TPMA_SESSION (Part 2, 8.4). `decrypt` is for the first command parameter, `encrypt` for the first response parameter. */
export const sessionAttributes = { continueSession: 0x01, decrypt: 0x20, encrypt: 0x40 } as const;

/** Hash, cipher key bits of every session this product opens. */
export const sessionCipherBits = 128;
/** TPM_RS_PW. */
const passwordHandle = 0x40000009;
const cipherBlockBytes = 16;
const none = new Uint8Array(0);

/** The state of one session; `nonceTpm` changes with every response. */
export interface SessionState {
  readonly handle: number;
  readonly hash: TpmHash;
  /** Empty for a session that is neither salted nor bound: then nothing is authenticated or encrypted. */
  readonly key: Uint8Array;
  readonly nonceTpm: Uint8Array;
}

/** One use of a session. */
export interface SessionUse {
  readonly session: SessionState;
  /** Of the object, in a policy session with PolicyAuthValue: proven by the HMAC and never sent. */
  readonly authValue?: Uint8Array | undefined;
  /** Fresh random bytes, one digest long. */
  readonly nonceCaller: Uint8Array;
  readonly attributes: number;
}

/** The empty password: the authorization value of hierarchies and keys of this product. */
export const emptyPassword: AuthorizationEntry = {
  handle: passwordHandle,
  nonce: none,
  attributes: sessionAttributes.continueSession,
  hmac: none,
};

/** sessionKey of a salted, unbound session (Part 1, 19.6.8). */
export function sessionKeyOf(
  hash: TpmHash,
  salt: Uint8Array,
  nonceTpm: Uint8Array,
  nonceCaller: Uint8Array,
): Uint8Array {
  return kdfa(hash, salt, 'ATH', nonceTpm, nonceCaller, hashSize(hash) * 8);
}

/** The command's parameters, the first one encrypted when the session asks for it, and the authorization entry over them. */
export function authorizeCommand(
  command: TpmCommand<unknown>,
  { session, authValue, nonceCaller, attributes }: SessionUse,
): { readonly parameters: Uint8Array; readonly entry: AuthorizationEntry } {
  const { handle, hash, nonceTpm } = session;
  const key = sessionValueOf(session, authValue);
  const secret = (attributes & sessionAttributes.decrypt) !== 0;
  const parameters = secret
    ? transformFirst(command.parameters, 'encrypt', hash, key, nonceCaller, nonceTpm)
    : command.parameters;
  const code = new ByteWriter().u32(command.code).finish();
  const parameterHash = digest(hash, code, ...command.handles.map(({ name }) => name), parameters);
  const hmac = hmacOf(hash, key, parameterHash, nonceCaller, nonceTpm, attributes);
  return { parameters, entry: { handle, nonce: nonceCaller, attributes, hmac } };
}

/**
 * The response's parameters, the first one decrypted when the session asked for it. Throws `tpm-structure-invalid` when the HMAC is not the
 * TPM's: an attacker between us and the TPM altered the answer.
 */
export function openResponse(
  command: TpmCommand<unknown>,
  { session, authValue, nonceCaller, attributes }: SessionUse,
  parameters: Uint8Array,
  answer: AuthorizationAnswer,
): { readonly parameters: Uint8Array; readonly nonceTpm: Uint8Array } {
  const { hash } = session;
  const key = sessionValueOf(session, authValue);
  const codes = new ByteWriter().u32(0).u32(command.code).finish();
  const expected = hmacOf(hash, key, digest(hash, codes, parameters), answer.nonce, nonceCaller, answer.attributes);
  if (!equalBytes(expected, answer.hmac)) {
    throw new CoreError('tpm-structure-invalid', `response to ${command.name}: its HMAC does not verify`);
  }
  const secret = (attributes & sessionAttributes.encrypt) !== 0;
  const opened = secret ? transformFirst(parameters, 'decrypt', hash, key, answer.nonce, nonceCaller) : parameters;
  return { parameters: opened, nonceTpm: Uint8Array.from(answer.nonce) };
}

/** sessionKey || authValue (Part 1, 19.6.5 and 21.2): it keys both the HMAC and the cipher. */
function sessionValueOf({ key }: SessionState, authValue: Uint8Array = none): Uint8Array {
  return authValue.length === 0 ? key : concat(key, authValue);
}

function hmacOf(
  hash: TpmHash,
  key: Uint8Array,
  parameterHash: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
  attributes: number,
): Uint8Array {
  // Part 1, 19.6.5: without any key the HMAC is the empty buffer.
  if (key.length === 0) return none;
  const mac = createHmac(hash, key).update(parameterHash).update(nonceNewer).update(nonceOlder);
  return mac.update(Uint8Array.of(attributes)).digest();
}

/** Part 1, 21.3: AES-CFB over the content of the first parameter; its length stays readable. */
function transformFirst(
  parameters: Uint8Array,
  direction: 'encrypt' | 'decrypt',
  hash: TpmHash,
  key: Uint8Array,
  nonceNewer: Uint8Array,
  nonceOlder: Uint8Array,
): Uint8Array {
  if (key.length === 0) throw new CoreError('tpm-structure-invalid', 'a session without a key cannot encrypt');
  const bits = sessionCipherBits + cipherBlockBytes * 8;
  const material = kdfa(hash, key, 'CFB', nonceNewer, nonceOlder, bits);
  const cipherKey = material.subarray(0, sessionCipherBits / 8);
  const vector = material.subarray(sessionCipherBits / 8);
  const reader = new ByteReader(parameters, 'encrypted parameter');
  const first = reader.sized16();
  const name = `aes-${sessionCipherBits}-cfb`;
  const cipher =
    direction === 'encrypt' ? createCipheriv(name, cipherKey, vector) : createDecipheriv(name, cipherKey, vector);
  const transformed = cipher.update(first);
  material.fill(0);
  return concat(parameters.subarray(0, 2), transformed, reader.bytes(reader.remaining));
}
