// What a failed attempt to reach the hub means: nobody is there, somebody else is, or the way is the hub's and its certificate has a fault.
import type { Endpoint } from '@edgekeep/core/canonical/endpoint';
import type { ServerExpectation } from '@edgekeep/core/identity/server-certificate';
import { WireError } from '../../error.ts';
import { indicatedName } from './indicated-name.ts';
import { shownByOlderTls } from './older-tls.ts';
import { askWithoutTls } from './plain-answer.ts';
import { refusedServer } from './refused-server.ts';

export interface Attempt {
  /** Undefined where a proxy is on the way: what answers cannot be asked without it. */
  readonly endpoint: Endpoint | undefined;
  readonly expectation: ServerExpectation;
  /** As `noteShown` has it. */
  readonly shown: readonly Uint8Array[];
}

// What OpenSSL and node:http say of a program that does not speak TLS, and of one that has no TLS 1.3.
const withoutTls = /wrong version number|packet length too long|http request|unexpected message|HPE_/i;
const ofTls = /^(?:ERR_SSL_|ERR_TLS_|ERR_OSSL_|EPROTO$|CERT_|UNABLE_|DEPTH_|SELF_SIGNED_|INVALID_|HOSTNAME_)/;
const olderTls = /protocol version|unsupported protocol|handshake failure/i;

/** The error for people and programs. May ask the other end once more, without TLS; sends nothing else. */
export async function connectFailure(cause: Error, { endpoint, expectation, shown }: Attempt): Promise<WireError> {
  if (cause instanceof WireError) return cause;
  const code = codeOf(cause);
  const why = `${code} ${cause.message}`;
  // System errors (ECONNREFUSED, ENOTFOUND, EHOSTUNREACH) are network errors; all others come from TLS or certificate verification.
  const isNetwork = /^E[A-Z0-9_]+$/.test(code) && code !== 'EPROTO' && !code.startsWith('ERR_');
  if (isNetwork) return new WireError('unreachable', `no connection (${addressesTried(cause) ?? code})`, { cause });
  if (shown.length > 0) {
    const { code: refusal, message } = refusedServer(shown, expectation);
    const text = refusal === 'tls-refused' ? `${cause.message.trim()}: ${message}` : message;
    return new WireError(refusal, text, { cause });
  }
  if (withoutTls.test(why)) return withoutTlsFailure(endpoint, cause);
  if (olderTls.test(why)) return olderTlsFailure(endpoint, expectation, cause);
  if (ofTls.test(code)) return new WireError('tls-refused', `TLS refused: ${cause.message.trim()}`, { cause });
  return new WireError('unreachable', cause.message.trim(), { cause });
}

async function withoutTlsFailure(endpoint: Endpoint | undefined, cause: Error): Promise<WireError> {
  const answer = endpoint === undefined ? ({ kind: 'none' } as const) : await askWithoutTls(endpoint);
  switch (answer.kind) {
    case 'portal': {
      const place = answer.place === undefined ? '' : `, at ${answer.place}`;
      const text = `a captive portal answers there without TLS: this network wants a login first${place}`;
      return new WireError('captive-portal', text, { cause });
    }
    case 'http':
      return new WireError('other-server', `a program without TLS answers there, by HTTP (status ${answer.status})`, {
        cause,
      });
    case 'none':
      return new WireError('other-server', 'a program without TLS answers there', { cause });
  }
}

async function olderTlsFailure(
  endpoint: Endpoint | undefined,
  expectation: ServerExpectation,
  cause: Error,
): Promise<WireError> {
  const older = 'the server there does not speak TLS 1.3, so it is no hub';
  const shown = endpoint === undefined ? [] : await shownByOlderTls(endpoint, indicatedName(expectation.name));
  if (shown.length === 0) return new WireError('tls-refused', older, { cause });
  const { code, message } = refusedServer(shown, expectation);
  const isOther = code === 'tls-intercepted' || code === 'other-server';
  return isOther
    ? new WireError(code, `${message}; it does not speak TLS 1.3`, { cause })
    : new WireError('tls-refused', older, { cause });
}

// A name with several addresses: each was tried.
function addressesTried(cause: Error): string | undefined {
  if (!(cause instanceof AggregateError)) return undefined;
  const tried = cause.errors.flatMap((each: unknown) =>
    each instanceof Error && 'address' in each ? [`${String(each.address)} ${codeOf(each)}`] : [],
  );
  return tried.length === 0 ? undefined : tried.join(', ');
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
}
