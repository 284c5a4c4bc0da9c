// Why a model signature was not accepted: a closed list of codes an operator can act on, each explained in spec/model-signature.md.

const signatureReasonCodes = [
  // the bundle
  'unknown-version',
  'unsupported-method',
  'signature-invalid',
  'post-quantum-missing',
  'faulty-pae',
  // the key or the certificate
  'wrong-key',
  'certificate-expired',
  'certificate-not-yet-valid',
  'certificate-untrusted',
  'certificate-usage',
  // the signed statement
  'legacy-predicate',
  'unsupported-predicate',
  'unsupported-serialization',
  'unsupported-hash',
  'root-digest-mismatch',
  // the files
  'missing-file',
  'digest-mismatch',
  'unsigned-file',
  'symbolic-link',
  'special-file',
  // the release
  'manifest-mismatch',
] as const;

export type SignatureReasonCode = (typeof signatureReasonCodes)[number];

export interface SignatureReason {
  readonly code: SignatureReasonCode;
  /** What was expected and what came; file names in it are JSON-quoted, because an attacker chose them. */
  readonly message: string;
  /** The file of the model, if the reason is about one. */
  readonly path?: string;
}

export interface SignatureRefused {
  readonly kind: 'refused';
  readonly reasons: readonly SignatureReason[];
}

export function refused(code: SignatureReasonCode, message: string): SignatureRefused {
  return { kind: 'refused', reasons: [{ code, message }] };
}

export function fileReason(code: SignatureReasonCode, path: string, message: string): SignatureReason {
  return { code, path, message: `${JSON.stringify(path)}: ${message}` };
}
