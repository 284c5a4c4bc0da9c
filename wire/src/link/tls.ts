// TLS settings of every connection between a device and the hub: TLS 1.3 only, both ends by certificate, no resumption. A full handshake
// each time means that a revoked certificate is noticed, and that the channel binding belongs to the keys just proven.
import { constants } from 'node:crypto';
import { isIP } from 'node:net';
import {
  checkServerIdentity,
  type ConnectionOptions,
  type DetailedPeerCertificate,
  type TLSSocket,
  type TlsOptions,
} from 'node:tls';
import { WireError } from '../error.ts';

const tls13Only = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256',
  ecdhCurve: 'X25519:P-256:P-384',
  // No stateless tickets; the stateful ones that OpenSSL then offers cannot be redeemed, because Node keeps no sessions on its own.
  secureOptions: constants.SSL_OP_NO_TICKET,
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
  readonly credential?: TlsClientCredential;
}

/** Options for `tls.connect`, except the destination. */
export function tlsClientOptions(input: TlsClientInput): ConnectionOptions {
  if (input.authoritiesPem.length === 0) {
    // An empty list would make Node fall back to the public authorities.
    throw new WireError('settings-invalid', 'a TLS client needs at least one pinned authority');
  }
  return {
    ...tls13Only,
    ca: [...input.authoritiesPem],
    // RFC 6066 section 3: no IP addresses in the server name indication; they are still verified.
    servername: isIP(input.serverName) === 0 ? input.serverName : '',
    checkServerIdentity: (_, certificate) => checkServerIdentity(input.serverName, certificate),
    rejectUnauthorized: true,
    ALPNProtocols: ['http/1.1'],
    ...(input.credential && { cert: input.credential.certificateChainPem, key: input.credential.privateKeyPem }),
  };
}

// A hub sends its issuing CA and a link for each earlier root; nobody needs more.
const PEER_CHAIN_MAX = 40;

/**
 * The certificates that the other end presented and their issuers as far as they were found, DER, leaf first. The handshake has verified
 * them.
 */
export function peerChain(socket: TLSSocket): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  // The last one names itself as issuer; without a certificate there is an empty object.
  while (next?.raw !== undefined && chain.length < PEER_CHAIN_MAX) {
    chain.push(next.raw);
    next = next.issuerCertificate === next ? undefined : next.issuerCertificate;
  }
  return chain;
}

/** DER certificates, leaf first, as one PEM text for TLS settings. */
export function pemChain(certificates: readonly Uint8Array[]): string {
  return certificates.map(pemCertificate).join('');
}

function pemCertificate(der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`;
}
