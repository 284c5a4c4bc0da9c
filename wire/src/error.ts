// The one error class of wire: a failure on the way to the other end. Every code is listed here and explained in docs/errors.md.

export const wireErrorCodes = [
  /** No connection: name not found, refused, reset before the handshake ended. */
  'unreachable',
  /** The other end is not the expected one, or it refuses this client: certificate, host name, protocol version. */
  'tls-refused',
  /** The connection ended before the answer was complete. */
  'connection-lost',
  /** No data for as long as the settings allow. */
  'timeout',
  /** The answer has more bytes, or larger headers, than the settings allow. */
  'response-too-large',
  /** The data is not HTTP, or not the requested range. */
  'response-invalid',
  /** The request's signal was aborted. */
  'aborted',
  /** The connection was closed by its owner. */
  'closed',
  /** This connection cannot give a channel binding: not TLS 1.3, or already closed. */
  'channel-binding-unavailable',
  /** A setting that cannot work: a key that does not match its certificate, an empty list of authorities. */
  'settings-invalid',
] as const;

export type WireErrorCode = (typeof wireErrorCodes)[number];

/** A transport failure. `code` is stable; `message` names the other end, what was expected and what came. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
