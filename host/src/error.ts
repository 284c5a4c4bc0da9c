// The one error class of the host package: the machine lacks something, or a person entered nothing. Every code is listed here and
// explained in docs/errors.md.

export const hostErrorCodes = [
  /** No tmpfs, or one that takes no anonymous files. */
  'memory-file-unavailable',
  /** A secret cannot be read from the given place, or is too long. */
  'settings-invalid',
  /** Other users may read or change a file that holds a secret. */
  'file-not-private',
  /** A folder does not exist and cannot be made. */
  'folder-unusable',
  /** A program of this product is in a package that is not installed. */
  'program-missing',
  /** The person at the terminal gave up. */
  'aborted',
] as const;

export type HostErrorCode = (typeof hostErrorCodes)[number];

/** `code` is stable; `message` says what was expected and what came. */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: HostErrorCode;

  constructor(code: HostErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
