// DSSE v1.0.2: the signed bytes (the pre-authentication encoding), and signing and verifying them.
import { type KeyObject, verify } from 'node:crypto';
import { concat, utf8 } from '../../bytes.ts';
import { sha256Hex } from '../../digest.ts';
import { verifyMlDsa } from '../../post-quantum/ml-dsa.ts';
import { hashOf, signatureAlgorithmOf, type Signer } from '../../signer.ts';

/** The one payload type OMS signs. */
export const statementPayloadType = 'application/vnd.in-toto+json';

export interface PostQuantumSignature {
  /** The fingerprint of its key. */
  readonly keyId: string;
  readonly signature: Uint8Array;
}

export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** ECDSA as ASN.1 DER. */
  readonly signature: Uint8Array;
  /** ML-DSA-65 over the same bytes. */
  readonly postQuantum?: PostQuantumSignature | undefined;
}

/** PAE: "DSSEv1" SP length(type) SP type SP length(payload) SP payload, lengths in bytes, decimal. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concat(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

export async function signEnvelope(payload: Uint8Array, signer: Signer): Promise<Envelope> {
  const message = preAuthenticationEncoding(statementPayloadType, payload);
  const envelope = { payloadType: statementPayloadType, payload, signature: await signer.sign(message) };
  const second = signer.postQuantum;
  if (second === undefined) return envelope;
  const keyId = postQuantumFingerprint(second.publicKey);
  return { ...envelope, postQuantum: { keyId, signature: await second.sign(message) } };
}

/** SHA-256, hex, of the PEM text of an ML-DSA-65 key. */
function postQuantumFingerprint(publicKey: KeyObject): string {
  return sha256Hex(utf8(publicKey.export({ format: 'pem', type: 'spki' }).toString()));
}

/** Whether the second signature is there, and is the one of this key. */
export function verifySecond(
  { payloadType, payload, postQuantum }: Envelope,
  key: KeyObject,
): 'valid' | 'invalid' | 'missing' {
  if (postQuantum === undefined) return 'missing';
  const message = preAuthenticationEncoding(payloadType, payload);
  return verifyMlDsa('ml-dsa-65', key, message, postQuantum.signature) ? 'valid' : 'invalid';
}

/** `faulty-pae`: the key made the signature, but over the wrong encoding of OMS before 1.0. It must not be accepted. */
export function verifyEnvelope(envelope: Envelope, key: KeyObject): 'valid' | 'invalid' | 'faulty-pae' {
  const { payloadType, payload, signature } = envelope;
  const hash = hashOf(signatureAlgorithmOf(key));
  if (verify(hash, preAuthenticationEncoding(payloadType, payload), key, signature)) return 'valid';
  // The certificate method of OMS 0.2 also used SHA-256 on every curve.
  const faulty = faultyEncoding(payloadType, payload);
  const isFaulty = verify(hash, faulty, key, signature) || verify('sha256', faulty, key, signature);
  return isFaulty ? 'faulty-pae' : 'invalid';
}

// OMS before 1.0 put Python's printed form of the payload (b'{\n ...') after an upper-case "DSSEV1". It is computed only to tell an
// operator why an old signature fails.
function faultyEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const quote = payload.includes(0x27) && !payload.includes(0x22) ? '"' : "'";
  let printed = '';
  for (const byte of payload) printed += printedByte(byte, quote);
  return utf8(`DSSEV1 ${payloadType.length} ${payloadType} ${payload.length} b${quote}${printed}${quote}`);
}

function printedByte(byte: number, quote: string): string {
  const character = String.fromCharCode(byte);
  if (character === '\\' || character === quote) return `\\${character}`;
  if (character === '\n') return '\\n';
  if (character === '\r') return '\\r';
  if (character === '\t') return '\\t';
  return byte >= 0x20 && byte < 0x7f ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
}
