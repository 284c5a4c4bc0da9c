// DSSE v1.0.2: the signed bytes (the pre-authentication encoding), and signing and verifying them.
import { type KeyObject, verify } from 'node:crypto';
import { concat, utf8 } from '../../bytes.ts';
import { hashOf, signatureAlgorithmOf, type Signer } from '../../signer.ts';

/** The one payload type OMS signs. */
export const statementPayloadType = 'application/vnd.in-toto+json';

export interface Envelope {
  readonly payloadType: string;
  readonly payload: Uint8Array;
  /** ECDSA as ASN.1 DER. */
  readonly signature: Uint8Array;
}

/** PAE: "DSSEv1" SP length(type) SP type SP length(payload) SP payload, lengths in bytes, decimal. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Uint8Array {
  const type = utf8(payloadType);
  return concat(utf8(`DSSEv1 ${type.length} `), type, utf8(` ${payload.length} `), payload);
}

export async function signEnvelope(payload: Uint8Array, signer: Signer): Promise<Envelope> {
  const signature = await signer.sign(preAuthenticationEncoding(statementPayloadType, payload));
  return { payloadType: statementPayloadType, payload, signature };
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
