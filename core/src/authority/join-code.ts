// The one-time code with which a new node joins a hub, spec/platform-secrets.md, "A code to join". It names the hub's root and its address, and has a
// secret from which a key pair comes: the hub knows the public key alone, and the code itself is never sent.
import { createHash, hkdfSync, type KeyObject, sign, verify } from 'node:crypto';
import { concat, equalBytes, parseBase64url, parseUtf8, toBase64url, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { ed25519FromRaw, ed25519FromSeed, ed25519Length, rawEd25519 } from '../identity/ed25519-seed.ts';
import { encodeCanonicalJson } from '../json.ts';

export const joinSecretLength = 20;
const version = 1;
const digestLength = 32;
const checkLength = 4;
const prefix = 'ekjoin-';
const CODE_CHARACTERS_MAX = 4_096;
const info = 'edgekeep join code v1';

export interface JoinCode {
  /** SHA-256 of the root's certificate. */
  readonly rootSha256: Uint8Array;
  readonly secret: Uint8Array;
  /** The operator listener of a node. */
  readonly url: string;
  /** The name in its certificate, where that is not the host of the address. */
  readonly serverName: string | undefined;
}

export function encodeJoinCode({ rootSha256, secret, url, serverName }: JoinCode): string {
  const place = utf8(serverName === undefined ? url : `${url}\n${serverName}`);
  const content = concat(Uint8Array.of(version), rootSha256, secret, place);
  return `${prefix}${toBase64url(concat(content, checkOf(content)))}`;
}

/** Throws `join-code-invalid`; the check finds mistakes of typing. */
export function parseJoinCode(text: string): JoinCode {
  const code = text.trim();
  if (!code.startsWith(prefix) || code.length > CODE_CHARACTERS_MAX) throw invalid(`it begins with ${prefix}`);
  const bytes = bytesOf(code.slice(prefix.length));
  const [content, check] = [bytes.subarray(0, -checkLength), bytes.subarray(-checkLength)];
  const placeAt = 1 + digestLength + joinSecretLength;
  if (content.length <= placeAt || !equalBytes(checkOf(content), check)) throw invalid('it was cut or mistyped');
  if (content[0] !== version)
    throw invalid('it is of another version: use the same version of edgekeep on both machines');
  const [url = '', serverName, ...more] = parseUtf8(content.subarray(placeAt), 'code').split('\n');
  if (more.length > 0) throw invalid('it has too many lines');
  const secret = Uint8Array.from(content.subarray(1 + digestLength, placeAt));
  return { rootSha256: Uint8Array.from(content.subarray(1, 1 + digestLength)), secret, url, serverName };
}

function bytesOf(text: string): Uint8Array {
  try {
    return parseBase64url(text, 'code');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw invalid('it has other characters than a code');
  }
}

function checkOf(content: Uint8Array): Uint8Array {
  return createHash('sha256').update(`${info}\0`).update(content).digest().subarray(0, checkLength);
}

function invalid(why: string): CoreError {
  return new CoreError('join-code-invalid', `this is no code of \`edgekeep hub invite\`: ${why}`);
}

/** The key pair of a code. */
export function joinCodeKey({ secret, rootSha256 }: Pick<JoinCode, 'secret' | 'rootSha256'>): KeyObject {
  const seed = new Uint8Array(hkdfSync('sha256', secret, rootSha256, info, ed25519Length));
  try {
    return ed25519FromSeed(seed);
  } finally {
    seed.fill(0);
  }
}

/** The public key of a code, 32 bytes: all that the hub has of it. */
export function joinCodePublicKey(code: Pick<JoinCode, 'secret' | 'rootSha256'>): Uint8Array {
  return rawEd25519(joinCodeKey(code));
}

/** Names a code in the log and in requests. */
export function joinCodeId(publicKey: Uint8Array): string {
  return toHex(createHash('sha256').update(`${info} id\0`).update(publicKey).digest()).slice(0, 16);
}

/** What a new node asks, and its code signs. */
export interface JoinRequest {
  /** `joinCodeId`. */
  readonly code: string;
  /** Of the TLS connection (RFC 9266): the request counts on no other. */
  readonly binding: Uint8Array;
  /** SHA-256 of the root that the connection was verified with, hex. */
  readonly root: string;
  /** DER SPKI of the node's P-256 key. */
  readonly nodeKey: Uint8Array;
}

export function signJoinRequest(request: JoinRequest, codeKey: KeyObject): Uint8Array {
  return Uint8Array.from(sign(null, transcript(request), codeKey));
}

export function verifyJoinRequest(request: JoinRequest, publicKey: Uint8Array, signature: Uint8Array): boolean {
  return verify(null, transcript(request), ed25519FromRaw(publicKey), signature);
}

function transcript({ code, binding, root, nodeKey }: JoinRequest): Uint8Array {
  const type = 'edgekeep-node-join/v1';
  return encodeCanonicalJson({ type, code, binding: toBase64url(binding), root, nodeKey: toBase64url(nodeKey) });
}
