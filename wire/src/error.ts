// The one error class of wire: a failure on the way to the other end. Every code is listed here and explained in docs/errors.md.

export const wireErrorCodes = [
  /** No connection: name not found, refused, reset before the handshake ended. */
  'unreachable',
  /** The other end is not the expected one, or it refuses this client: certificate, host name, protocol version. */
  'tls-refused',
  /** No hub issued the certificate that came: somebody between ends TLS, or another server is there. */
  'tls-intercepted',
  /** The network wants a login first: its portal answers in the place of the hub. */
  'captive-portal',
  /** Another program or another hub answers at the hub's address. */
  'other-server',
  /** The hub's own certificate is past its time. */
  'hub-certificate-expired',
  /** The hub's own certificate is for a time to come, by this machine's clock. */
  'clock-behind',
  /** The hub's own certificate does not have the name by which it was reached. */
  'hub-name-differs',
  /** There is no connection to the proxy: name not found, refused. */
  'proxy-unreachable',
  /** The proxy of an `https` URL is not the expected one, or does not speak TLS. */
  'proxy-tls-refused',
  /** The proxy did not connect to the hub. */
  'proxy-refused',
  /** The proxy asks for credentials, and none are set that it takes. */
  'proxy-credentials-required',
  /** The proxy refused the credentials. */
  'proxy-credentials-refused',
  /** What answers there is no HTTP proxy, or it ended before its answer was whole. */
  'proxy-answer-invalid',
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
