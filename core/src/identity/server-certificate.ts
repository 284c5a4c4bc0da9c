// What a client of the hub requires of the server's certificate (spec/certificates.md, "The hub's server certificate"), after RFC 9525:
// names are in the subject alternative name only, and a certificate of another class is none of a server for any name in it.
import { equalBytes } from '../bytes.ts';
import { canonicalHostName } from '../canonical/host-name.ts';
import { addressOfOctets, addressText, parseAddress } from '../canonical/network.ts';
import type { Certificate } from './certificate.ts';
import type { Certificates } from './certificate-index.ts';
import { classOf, classProblem } from './certificate-class.ts';
import { type GeneralName, parseIpAddress } from './general-name.ts';
import { keyPurposeOid } from './oid.ts';
import { validatePath } from './path.ts';

export interface ServerExpectation {
  /** The DNS name or IP address that was meant to be reached. */
  readonly name: string;
  /** The roots that may vouch for the server. */
  readonly anchors: Certificates;
  readonly atSeconds: number;
  /** Whether an issuing CA without a class, as a hub has before its root has signed one for servers, may have issued the certificate. */
  readonly generalAuthority: 'accepted' | 'refused';
}

export type ServerVerdict =
  | {
      readonly kind: 'valid';
      /** Leaf first, root last; every signature was verified. */
      readonly chain: readonly Certificate[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** `shown` is what the server sent, leaf first: nothing in it is trusted. */
export function verifyServer(shown: readonly Certificate[], expectation: ServerExpectation): ServerVerdict {
  const [leaf, ...intermediates] = shown;
  if (leaf === undefined) return { kind: 'refused', reasons: ['the server sent no certificate'] };
  const { anchors, atSeconds } = expectation;
  const path = validatePath({ leaf, intermediates, anchors, atSeconds, purpose: 'tls-server' });
  if (path.kind === 'refused') return path;
  const reasons = serverReasons(path.chain, expectation);
  return reasons.length === 0 ? path : { kind: 'refused', reasons };
}

function serverReasons(
  [leaf, issuer]: readonly Certificate[],
  { name, generalAuthority }: ServerExpectation,
): readonly string[] {
  if (leaf === undefined || issuer === undefined) return ['the server showed a root as its own certificate'];
  const problem = classProblem(leaf, issuer, 'server');
  // The words of the other reasons rest on a class that can be read.
  if (problem !== undefined) return [problem];
  const names = leaf.extensions.subjectAltName?.names ?? [];
  const purposes = leaf.extensions.extendedKeyUsage ?? [];
  const checks: readonly (readonly [boolean, string])[] = [
    [
      generalAuthority === 'accepted' || classOf(issuer) === 'server',
      'its issuer is not a CA for servers, and this hub has one',
    ],
    // A workload's certificate is for both ends of TLS.
    [purposes.every((purpose) => purpose === keyPurposeOid.serverAuth), 'it is not for servers alone'],
    [!names.some(({ kind }) => kind === 'uri'), 'it has a URI among its names, as those of devices and workloads'],
    [names.some((each) => matches(each, name)), `none of its alternative names is ${name} (a common name is not read)`],
  ];
  return checks.filter(([holds]) => !holds).map(([, reason]) => reason);
}

/** The names by which a client may know this server, as texts; a wildcard keeps its star. */
export function serverNames({ extensions }: Certificate): readonly string[] {
  return (extensions.subjectAltName?.names ?? []).flatMap((name) => {
    if (name.kind === 'dns') return [name.text];
    const address = name.kind === 'ip' ? addressOfOctets(name.bytes) : undefined;
    return address === undefined ? [] : [addressText(address)];
  });
}

// RFC 9525 section 6.3: an address is compared as octets, a name label by label; a star is one whole label, the first.
function matches(name: GeneralName, expected: string): boolean {
  const wanted = canonicalHostName(expected);
  if (wanted === undefined) return false;
  if (parseAddress(wanted) !== undefined) return name.kind === 'ip' && equalBytes(name.bytes, parseIpAddress(wanted));
  if (name.kind !== 'dns') return false;
  if (!name.text.startsWith('*.')) return canonicalHostName(name.text) === wanted;
  const domain = canonicalHostName(name.text.slice(2));
  return domain !== undefined && domain === wanted.split('.').slice(1).join('.');
}
