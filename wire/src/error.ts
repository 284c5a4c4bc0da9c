// The one error class of wire: thrown when the world fails on the way to the other end. Every code is listed here and explained in
// docs/errors.md.

export const wireErrorCodes = [
  /** No connection: name not found, refused, reset before the handshake ended. */
  'unreachable',
  /** The other end is not who it should be, or it does not want us: certificate, host name, protocol version. */
  'tls-refused',
  /** The connection ended before the answer was complete. */
  'connection-lost',
  /** Nothing came for as long as the settings allow. */
  'timeout',
  /** The answer has more bytes, or larger headers, than the settings allow. */
  'response-too-large',
  /** What came is not HTTP, or not the range that was asked for. */
  'response-invalid',
  /** The hook that runs on every new connection failed: the connection was not used. */
  'connect-hook-failed',
  /** The request's signal was aborted. */
  'aborted',
  /** The connection was closed by its owner. */
  'closed',
  /** This connection cannot give a channel binding: not TLS 1.3, or already closed. */
  'channel-binding-unavailable',
  /** A setting that cannot work: a key that does not fit its certificate, an empty list of authorities. */
  'settings-invalid',
] as const;

export type WireErrorCode = (typeof wireErrorCodes)[number];

/** A transport failure. `code` is stable; `message` says which end, what was expected and what came. */
export class WireError extends Error {
  override readonly name = 'WireError';
  readonly code: WireErrorCode;

  constructor(code: WireErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
