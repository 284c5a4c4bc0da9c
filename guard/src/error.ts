// The one error class of the guard. Every code is listed here and explained in docs/errors.md; each request error has one HTTP status.

export const guardErrorCodes = [
  'order-invalid',
  'file-read',
  'model-load',
  'model-interface',
  'model-run',
  'request-invalid',
  'request-too-large',
  'encoding-unsupported',
  'origin-refused',
  'path-unknown',
  'not-offered',
  'method-not-allowed',
  'model-unknown',
  'service-unknown',
  'output-not-representable',
  'queue-full',
  'queue-timeout',
  'deadline-exceeded',
  'stopping',
] as const;

export type GuardErrorCode = (typeof guardErrorCodes)[number];

/** A request that cannot be answered or a model that cannot be loaded. `message` never holds tensor values. */
export class GuardError extends Error {
  override readonly name = 'GuardError';
  readonly code: GuardErrorCode;

  constructor(code: GuardErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
