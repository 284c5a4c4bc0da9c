// Verifies an OMS bundle: the signer and the signed content. The files themselves are compared later (compare.ts), because hashing them is
// I/O. The order matters: the signature over the received bytes first, then their content.
import type { KeyObject } from 'node:crypto';
import type { Certificate } from '../../identity/certificate.ts';
import { type Bundle, parseBundle } from './bundle.ts';
import { verifySigningChain } from './certificate-mode.ts';
import { type Envelope, statementPayloadType, verifyEnvelope, verifySecond } from './dsse.ts';
import { keyFingerprint, selectKeys } from './key-mode.ts';
import { asPublisherKey, type PublisherKey } from './publisher-key.ts';
import { refused, type SignatureRefused } from './reason.ts';
import { type ModelStatement, parseStatement } from './statement.ts';

/** What the reader trusts: given keys, or certification authorities at a time (Unix seconds). */
export type SignatureTrust =
  | { readonly kind: 'keys'; readonly keys: readonly (KeyObject | PublisherKey)[] }
  | { readonly kind: 'certificates'; readonly anchors: readonly Certificate[]; readonly atSeconds: number };

export interface ModelSigner {
  /** SHA-256 of the PEM text of the key, hex, as OMS hints are. */
  readonly keyFingerprint: string;
  /** The certificate's subject, of the certificate method. */
  readonly subject: string | undefined;
}

export type BundleVerdict =
  | { readonly kind: 'verified'; readonly statement: ModelStatement; readonly signer: ModelSigner }
  | SignatureRefused;

/** Throws CoreError for malformed bytes; refuses, with reasons, well-formed bytes that do not prove what they should. */
export function verifyBundle(bytes: Uint8Array, trust: SignatureTrust): BundleVerdict {
  const parsed = parseBundle(bytes);
  if (parsed.kind === 'refused') return parsed;
  const { envelope } = parsed.bundle;

  const candidates = signingKeys(parsed.bundle, trust);
  if (candidates.kind === 'refused') return candidates;
  const verdicts = candidates.keys.map((key) => ({ key, verdict: verifyEnvelope(envelope, key.publicKey) }));
  const signing = verdicts.find(({ verdict }) => verdict === 'valid');
  if (signing === undefined) {
    return verdicts.some(({ verdict }) => verdict === 'faulty-pae')
      ? refused('faulty-pae', 'signed over the faulty encoding of OMS before 1.0; sign the model again')
      : refused('signature-invalid', 'the signature is not one of the named key over this statement');
  }

  const second = secondRefusal(envelope, signing.key);
  if (second !== undefined) return second;
  if (envelope.payloadType !== statementPayloadType) {
    return refused(
      'unsupported-predicate',
      `expected payload ${statementPayloadType}, found ${JSON.stringify(envelope.payloadType)}`,
    );
  }
  const statement = parseStatement(envelope.payload);
  if (statement.kind === 'refused') return statement;
  const signer = { keyFingerprint: keyFingerprint(signing.key.publicKey), subject: candidates.subject };
  return { kind: 'verified', statement: statement.statement, signer };
}

// Whether there must be a second signature is what the reader was given, and not what the bundle has: otherwise an attacker who can forge the
// classical one leaves it out.
function secondRefusal(envelope: Envelope, { postQuantum }: PublisherKey): SignatureRefused | undefined {
  if (postQuantum === undefined) return undefined;
  switch (verifySecond(envelope, postQuantum)) {
    case 'valid':
      return undefined;
    case 'missing':
      return refused(
        'post-quantum-missing',
        'this publisher signs by ML-DSA-65 as well, and that signature is missing',
      );
    case 'invalid':
      return refused('signature-invalid', 'the signature of ML-DSA-65 is not one of the publisher over this statement');
  }
}

type Candidates =
  | { readonly kind: 'keys'; readonly keys: readonly PublisherKey[]; readonly subject: string | undefined }
  | SignatureRefused;

function signingKeys({ material }: Bundle, trust: SignatureTrust): Candidates {
  if (trust.kind === 'keys') {
    if (material.kind !== 'key') {
      return refused(
        'unsupported-method',
        'the bundle carries a certificate chain: it needs a trust root, not a public key',
      );
    }
    const trusted = trust.keys.map(asPublisherKey);
    const selected = selectKeys(
      material,
      trusted.map(({ publicKey }) => publicKey),
    );
    if (selected.kind === 'refused') return selected;
    const keys = trusted.filter(({ publicKey }) => selected.keys.includes(publicKey));
    return { kind: 'keys', keys, subject: undefined };
  }
  if (material.kind !== 'certificate-chain') {
    return refused('unsupported-method', 'the bundle names a bare key: it needs that public key, not a trust root');
  }
  const chain = verifySigningChain(material.certificates, trust.anchors, trust.atSeconds);
  return chain.kind === 'refused' ? chain : { kind: 'keys', keys: [{ publicKey: chain.key }], subject: chain.subject };
}
