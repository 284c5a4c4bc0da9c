// TLS settings of every connection between a device and the hub: TLS 1.3 (one listener, off by default, has 1.2 for gateways), both ends by
// certificate, no resumption. A full handshake each time means that a revoked certificate is noticed, and that the channel binding belongs to the
// keys just proven.
import { messageOf } from '@edgekeep/core/message-of';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { encodePem, parsePem } from '@edgekeep/core/identity/pem';
import { type ServerExpectation, type ServerVerdict, verifyServer } from '@edgekeep/core/identity/server-certificate';
import { constants } from 'node:crypto';
import type { TcpSocketConnectOpts } from 'node:net';
import type { ConnectionOptions, PeerCertificate, TlsOptions } from 'node:tls';
import { WireError } from '../error.ts';
import { indicatedName } from './other-end/indicated-name.ts';
import { refusedServer, shownChain } from './other-end/refused-server.ts';

// Groups of key exchange, in the order of preference: hybrid first, so that what is recorded today stays secret from a quantum computer. A
// client sends a share of both groups with a star: a hub of an earlier version, which knows X25519 only, answers without another round trip. A server
// asks a client that knows the hybrid group for it, also when the client prefers another.
const keyExchangeGroups = '*X25519MLKEM768/*X25519:P-256:P-384';

const tls13Only = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
  ecdhCurve: keyExchangeGroups,
  // No stateless tickets; the stateful ones that OpenSSL then offers cannot be redeemed, because Node keeps no sessions on its own.
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies TlsOptions;

// RFC 9325: of TLS 1.2 the suites with forward secrecy and authenticated encryption, for keys on elliptic curves alone. A client that has TLS
// 1.3 gets it. No renegotiation: it could change the client's certificate within a connection.
const tls12Too = {
  ...tls13Only,
  minVersion: 'TLSv1.2',
  ciphers: `${tls13Only.ciphers}:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305`,
  secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION,
} as const satisfies TlsOptions;

/** A handshake takes two round trips; a slower peer would hold a socket for nothing. */
const handshakeTimeoutMsDefault = 10_000;

export interface TlsServerInput {
  /** The server's certificate and its issuers, leaf first, PEM. */
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
  /** The authorities whose client certificates are accepted, PEM. */
  readonly clientAuthoritiesPem: readonly string[];
  /**
   * `required`: a client without a valid certificate never gets past the handshake.
   * `optional`: it does, and the application must look at `socket.authorized` itself (enrollment, before there is a certificate).
   */
  readonly clientCertificate: 'required' | 'optional';
  readonly handshakeTimeoutMs?: number;
}

/** Options for `tls.createServer` and `https.createServer`. */
export function tlsServerOptions(input: TlsServerInput): TlsOptions {
  if (input.clientAuthoritiesPem.length === 0) {
    throw new WireError('settings-invalid', 'a TLS server for devices needs at least one client authority');
  }
  return {
    ...tls13Only,
    cert: input.certificateChainPem,
    key: input.privateKeyPem,
    ca: [...input.clientAuthoritiesPem],
    requestCert: true,
    rejectUnauthorized: input.clientCertificate === 'required',
    handshakeTimeout: input.handshakeTimeoutMs ?? handshakeTimeoutMsDefault,
    ALPNProtocols: ['http/1.1'],
  };
}

/** The same with TLS 1.2 besides, for clients that have nothing newer: such a connection has no channel binding. */
export function tls12ServerOptions(input: TlsServerInput): TlsOptions {
  return { ...tlsServerOptions(input), ...tls12Too };
}

type AddressOptions = Pick<TcpSocketConnectOpts, 'autoSelectFamily' | 'autoSelectFamilyAttemptTimeout'>;

/** How long one address of a name has for the connection, before the next is tried. */
const addressMilliseconds = 2_500;

/** A client's own certificate chain, leaf first, and the key of its leaf. */
export interface TlsClientCredential {
  readonly certificateChainPem: string;
  readonly privateKeyPem: string;
}

export interface TlsClientInput {
  /** The only authorities that may vouch for the server, PEM: the machine's own trust store is not consulted. */
  readonly authoritiesPem: readonly string[];
  /** The DNS name or IP address the server's certificate must carry. */
  readonly serverName: string;
  /** Whether an issuing CA without a class may have issued the server's certificate (spec/certificates.md, "Classes"); left out: accepted. */
  readonly generalAuthority?: ServerExpectation['generalAuthority'];
  /** Gets the server's path, leaf first, root last, after every signature in it was verified; if it throws, the handshake fails. */
  readonly acceptServer?: ((chain: readonly Certificate[]) => void) | undefined;
  readonly credential?: TlsClientCredential;
}

/**
 * Options for `tls.connect` and `https.request`, except the destination. OpenSSL verifies the path to the authorities; then the certificate
 * itself is judged here, before any byte of the client's is sent. Throws `settings-invalid` without an authority.
 */
export function tlsClientOptions(input: TlsClientInput): ConnectionOptions & AddressOptions {
  const { serverName, credential } = input;
  const expectation = serverExpectation(input);
  return {
    ...tls13Only,
    ca: [...input.authoritiesPem],
    servername: indicatedName(serverName),
    checkServerIdentity: (_, shown) => refusalOf(shown, expectation(), input),
    rejectUnauthorized: true,
    // A name with several addresses: one that is silent does not keep the others from being tried. A packet that was lost comes again in a second.
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: addressMilliseconds,
    ALPNProtocols: ['http/1.1'],
    ...(credential && { cert: credential.certificateChainPem, key: credential.privateKeyPem }),
  };
}

// Node takes an empty list, or an empty text, for its own list of public authorities.
function anchorsIn(authoritiesPem: readonly string[]): readonly Certificate[] {
  try {
    const anchors = authoritiesPem.flatMap((pem) => parsePem(pem, 'CERTIFICATE')).map(parseCertificate);
    if (anchors.length > 0) return anchors;
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new WireError('settings-invalid', `the pinned authorities cannot be read: ${cause.message}`, { cause });
  }
  throw new WireError('settings-invalid', 'a TLS client needs at least one pinned authority');
}

/** What the server must show. The certificates are read once, the clock at each call. Throws `settings-invalid` without an authority. */
export function serverExpectation(input: TlsClientInput): () => ServerExpectation {
  const anchors = anchorsIn(input.authoritiesPem);
  const { serverName: name, generalAuthority = 'accepted' } = input;
  return () => ({ name, anchors, atSeconds: Math.floor(Date.now() / 1_000), generalAuthority });
}

function refusalOf(
  shown: PeerCertificate,
  expectation: ServerExpectation,
  { acceptServer }: TlsClientInput,
): Error | undefined {
  try {
    const verdict = verdictOn(shown, expectation);
    if (verdict.kind === 'refused') return refusedServer(shownChain(shown), expectation);
    acceptServer?.(verdict.chain);
    return undefined;
  } catch (cause) {
    // Fail closed: for any failure, the server was not accepted.
    const text = messageOf(cause);
    return new WireError('tls-refused', `the server was refused: ${text}`, { cause });
  }
}

function verdictOn(shown: PeerCertificate, expectation: ServerExpectation): ServerVerdict {
  try {
    return verifyServer(shownChain(shown).map(parseCertificate), expectation);
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    return { kind: 'refused', reasons: [error.message] };
  }
}

/** DER certificates, leaf first, as one PEM text for TLS settings. */
export function pemChain(certificates: readonly Uint8Array[]): string {
  return certificates.map((der) => encodePem('CERTIFICATE', der)).join('');
}
