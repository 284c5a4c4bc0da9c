// The one error class of core: thrown for broken input, never for an expected "no" (those are values with reasons). Every code is listed
// here and explained in docs/errors.md; `tests/house.test.ts` compares the two lists.

export const coreErrorCodes = [
  // bytes and text
  'bytes-truncated',
  'bytes-trailing',
  'bytes-too-long',
  'encoding-invalid',
  'address-invalid',
  'json-invalid',
  'json-not-canonical',
  'json-schema',
  // tpm
  'tpm-structure-invalid',
  'tpm-algorithm-unsupported',
  'tpm-credential-invalid',
  'tpm-policy-invalid',
  // attest
  'event-log-invalid',
  'image-invalid',
  'prediction-impossible',
  'ima-log-invalid',
  'ima-policy-invalid',
  'evidence-invalid',
  'reference-values-invalid',
  'attestation-result-invalid',
  // model
  'sealed-model-invalid',
  'sealed-model-key',
  'signature-bundle-invalid',
  'manifest-invalid',
  'model-path-invalid',
  // audit
  'note-invalid',
  'checkpoint-invalid',
  'tile-invalid',
  'proof-invalid',
  'audit-entry-invalid',
  'receipt-invalid',
  // identity
  'der-invalid',
  'certificate-invalid',
  'certificate-request-invalid',
  'crl-invalid',
  'ocsp-invalid',
  'cms-invalid',
  'key-invalid',
  'witness-policy-invalid',
  'token-invalid',
  'hpke-open',
  'join-code-invalid',
  // authority
  'key-list-invalid',
] as const;

export type CoreErrorCode = (typeof coreErrorCodes)[number];

/** Broken input or a broken precondition. `code` is stable and documented in docs/errors.md; `message` says what was expected and what came. */
export class CoreError extends Error {
  override readonly name = 'CoreError';
  readonly code: CoreErrorCode;

  constructor(code: CoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
