// The one error class of the hardware package: a failing device, a refusal by the TPM, a broken state folder. Every code is listed here and
// explained in docs/errors.md.

export const hardwareErrorCodes = [
  // the connection to a TPM
  'tpm-unreachable',
  'tpm-timeout',
  'tpm-response-invalid',
  // answers of a TPM
  'tpm-failed',
  'tpm-policy-refused',
  'tpm-lease-over',
  'tpm-blob-refused',
  'lease-counter-unusable',
  'tpm-key-unexpected',
  // the simulator
  'simulator-missing',
  'simulator-failed',
  // the software root of trust
  'software-state-invalid',
  'software-unsupported',
  // the secure element
  'pkcs11-binding-missing',
  'pkcs11-module-failed',
  'pkcs11-token-missing',
  'pkcs11-token-changed',
  'pkcs11-pin-unreadable',
  'pkcs11-pin-refused',
  'pkcs11-key-unexpected',
  'pkcs11-failed',
  // DICE
  'dice-handoff-invalid',
  // keys
  'wrapped-key-unsupported',
  'wrapped-key-refused',
  // files
  'boot-log-invalid',
] as const;

export type HardwareErrorCode = (typeof hardwareErrorCodes)[number];

/** `code` is stable and documented in docs/errors.md; `responseCode` is the TPM_RC when a TPM gave one. */
export class HardwareError extends Error {
  override readonly name = 'HardwareError';
  readonly code: HardwareErrorCode;
  readonly responseCode: number | undefined;

  constructor(code: HardwareErrorCode, message: string, options?: ErrorOptions & { readonly responseCode?: number }) {
    super(message, options);
    this.code = code;
    this.responseCode = options?.responseCode;
  }
}
