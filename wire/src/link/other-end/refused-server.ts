// Why a server is refused, from the certificates that it showed (spec/certificates.md, "A server that is refused"): the hub's own, with a fault,
// or those of somebody who ends TLS on the way. Everything shown is a stranger's: it is explained here, after it was refused.
import { printable, printableInQuotes } from '@edgekeep/core/canonical/printable';
import { CoreError } from '@edgekeep/core/error';
import { type Certificate, parseCertificate } from '@edgekeep/core/identity/certificate';
import { dateText } from '@edgekeep/core/identity/path';
import type { ServerExpectation } from '@edgekeep/core/identity/server-certificate';
import { explainServer, type ServerRefusal } from '@edgekeep/core/identity/server-refusal';
import { X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';
import { WireError, type WireErrorCode } from '../../error.ts';

// A hub sends its issuing CA and a link for each earlier root; nobody needs more.
const PEER_CHAIN_MAX = 40;
const NAME_CHARACTERS_MAX = 200;

/**
 * The certificates that the other end sent and their issuers as far as they were found, DER, leaf first. Only the leaf was verified: OpenSSL
 * may have used another path, and who sends the certificates chooses which ones Node finds.
 */
export function shownChain(leaf: PeerCertificate): readonly Uint8Array[] {
  const chain: Uint8Array[] = [];
  let next: PeerCertificate | DetailedPeerCertificate | undefined = leaf;
  while (next?.raw !== undefined && chain.length < PEER_CHAIN_MAX) {
    chain.push(next.raw);
    // The last one names itself as issuer; without a certificate there is an empty object.
    const issuer: DetailedPeerCertificate | undefined =
      'issuerCertificate' in next ? next.issuerCertificate : undefined;
    next = issuer === next ? undefined : issuer;
  }
  return chain;
}

/** What the other end shows, noted before Node judges it: a socket that was refused has no certificates any more. */
export function noteShown(socket: TLSSocket): () => readonly Uint8Array[] {
  let shown: readonly Uint8Array[] = [];
  // Node judges at the same event, so this listener is the first.
  socket.prependOnceListener('secure', () => {
    shown = shownChain(socket.getPeerCertificate(true));
  });
  // What fails later is not the server's certificate.
  socket.once('secureConnect', () => {
    shown = [];
  });
  return () => shown;
}

const codes: Readonly<Record<ServerRefusal['kind'], WireErrorCode>> = {
  expired: 'hub-certificate-expired',
  'not-yet-valid': 'clock-behind',
  'other-name': 'hub-name-differs',
  'other-hub': 'other-server',
  foreign: 'tls-intercepted',
  unfit: 'tls-refused',
};

/** The error for a server that was refused. `shown` is DER, leaf first. */
export function refusedServer(shown: readonly Uint8Array[], expectation: ServerExpectation): WireError {
  const refusal = explainServer(readable(shown), expectation);
  return new WireError(codes[refusal.kind], textOf(refusal, shown, expectation));
}

function readable(shown: readonly Uint8Array[]): readonly Certificate[] {
  const [leaf, ...others] = shown.map((der) => {
    try {
      return parseCertificate(der);
    } catch (error) {
      if (error instanceof CoreError) return undefined;
      throw error;
    }
  });
  return leaf === undefined ? [] : [leaf, ...others.filter((each) => each !== undefined)];
}

function textOf(refusal: ServerRefusal, shown: readonly Uint8Array[], { name, atSeconds }: ServerExpectation): string {
  switch (refusal.kind) {
    case 'expired':
      return `the hub's certificate expired at ${dateText(refusal.notAfterSeconds)}, and this machine's clock says ${dateText(atSeconds)}: if the clock is right, run \`edgekeep hub check\` at the hub; it renews its certificate when it starts`;
    case 'not-yet-valid':
      return `the hub's certificate is not valid before ${dateText(refusal.notBeforeSeconds)}, and this machine's clock says ${dateText(atSeconds)}: set the clock`;
    case 'other-name':
      return `the hub's certificate is for ${refusal.names.map((each) => printable(each, NAME_CHARACTERS_MAX)).join(', ')}: none of its alternative names is ${name}; use one of them as the server name, or add this one to \`names\` of the hub`;
    case 'other-hub':
      return `another hub answers there: its certificate, ${namesOf(shown)}, is not under a root that is pinned here; correct the address, or use the roots of that hub`;
    case 'foreign':
      return `somebody between ends TLS, or another server is there: no hub issued the certificate that came, ${namesOf(shown)}. A proxy or firewall that inspects TLS has to pass this address unopened, and a captive portal wants a login first; the issuer is never added to the pinned roots`;
    case 'unfit':
      return `this is not the hub: ${refusal.reasons.join('; ')}`;
  }
}

function namesOf([leaf]: readonly Uint8Array[]): string {
  if (leaf === undefined) return 'of unknown names';
  try {
    const { subject, issuer, fingerprint256 } = new X509Certificate(leaf);
    return `subject ${nameText(subject)}, issuer ${nameText(issuer)}, SHA-256 ${fingerprint256.replaceAll(':', '').toLowerCase()}`;
  } catch {
    // A stranger's bytes that OpenSSL does not read: there is nothing to name.
    return 'of names that cannot be read';
  }
}

// One attribute a line, outermost first; none at all is an empty text in some versions and undefined in others.
function nameText(name: string | undefined): string {
  const text = (name ?? '').trim().split('\n').join(', ');
  return `"${printableInQuotes(text === '' ? 'none' : text, NAME_CHARACTERS_MAX)}"`;
}
