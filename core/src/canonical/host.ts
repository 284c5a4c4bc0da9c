// Hosts as people and files write them (spec/addresses.md): a DNS name, an IPv4 address or an IPv6 address, each in one form. The platform's
// URL parser is not asked: it reads `10.1`, `0x7f.1` and `010.0.0.1` as addresses other than those that people meant.
import { isIPv4, isIPv6 } from 'node:net';
import { domainToASCII, domainToUnicode } from 'node:url';
import { CoreError } from '../error.ts';
import { addressText, parseAddress } from './network.ts';
import { mixesScripts } from './script.ts';

export type Host =
  /** Lower case, A-labels, without the dot of the DNS root. */
  | { readonly kind: 'name'; readonly text: string }
  /** Dotted; an address that is mapped into IPv6 is one too. */
  | { readonly kind: 'ipv4'; readonly text: string }
  /** RFC 5952, without brackets; `zone` is the interface of a link-local address. */
  | { readonly kind: 'ipv6'; readonly text: string; readonly zone: string | undefined };

// RFC 1035 section 2.3.4, without the octets of lengths and of the root.
const NAME_LENGTH_MAX = 253;
// Longer than every name before it is mapped to A-labels; it bounds the work.
const TEXT_LENGTH_MAX = 1_024;

// RFC 1123 section 2.1, and the underscore, which container runtimes put into names of machines.
const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
// The URL Standard, "ends in a number": resolvers read such a name as an address in one of several bases.
const numericLabel = /^(?:\d+|0x[0-9a-f]*)$/i;
// Names of interfaces have at most 15 characters on Linux.
const zoneName = /^[A-Za-z0-9._~-]{1,15}$/;
// Characters that end a host in a URL, or hide one: no name has them.
const outsideNames = /[\s:/?#@%\\[\]\p{Cc}]/u;

// What people paste in place of a host.
const urlStart = /^[a-z][a-z0-9+.-]*:\/\//i;
const portEnd = /^(?:[^:[\]]+|\[[^\]]*\]):\d*$/;

/** The host in a text, with or without brackets around an IPv6 address. Throws `address-invalid`. */
export function parseHost(text: string): Host {
  if (text === '') throw refused(text, 'a host is missing: expected a name or an address');
  if (text.length > TEXT_LENGTH_MAX) throw refused(text, 'no host is this long');
  const inside = /^\[(.*)\]$/s.exec(text)?.[1];
  if (inside !== undefined) return parseIpv6(inside, text);
  if (urlStart.test(text)) throw refused(text, 'a URL: expected the name or address in it alone');
  if (portEnd.test(text)) throw refused(text, 'expected a name or an address without a port');
  if (text.includes(':')) return parseIpv6(text, text);
  if (isIPv4(text)) return { kind: 'ipv4', text };
  return { kind: 'name', text: parseName(text) };
}

/** The text of a host for the system's resolver: without brackets, with the zone. */
export function hostText(host: Host): string {
  return host.kind === 'ipv6' && host.zone !== undefined ? `${host.text}%${host.zone}` : host.text;
}

/** A host as other machines know it: its name in a certificate, and in a Host header (RFC 9844 section 5). */
export function withoutZone(host: string): string {
  return host.replace(/%.*$/, '');
}

/** Whether it means every address of the machine: a listener can have it, and a client cannot reach it. */
export function isUnspecified({ text }: Host): boolean {
  return text === '0.0.0.0' || text === '::';
}

/** Whether it is reached through one interface only, whose name each machine chooses itself. */
export function isLinkLocal({ kind, text }: Host): boolean {
  return kind === 'ipv6' && /^fe[89ab]/.test(text);
}

function parseIpv6(text: string, given: string): Host {
  const [address, zone] = splitZone(text);
  const parsed = isIPv6(address) ? parseAddress(address) : undefined;
  if (parsed === undefined)
    throw refused(given, 'not an IPv6 address; a port follows a name, an IPv4 address, or an IPv6 address in brackets');
  const canonical = addressText(parsed);
  const host =
    parsed.family === 4
      ? ({ kind: 'ipv4', text: canonical } as const)
      : ({ kind: 'ipv6', text: canonical, zone } as const);
  if (zone !== undefined && !isLinkLocal(host))
    throw refused(given, 'only a link-local address (fe80::/10) has a zone');
  if (zone !== undefined && !zoneName.test(zone))
    throw refused(given, 'the zone is the name or number of an interface of this machine, as in fe80::1%eth0');
  return host;
}

// RFC 9844 writes `%eth0` for people, RFC 6874 `%25eth0` in URLs; an interface with the number 25 is `%25`.
function splitZone(text: string): readonly [string, string?] {
  const at = text.indexOf('%');
  if (at === -1) return [text];
  const zone = text.slice(at + 1);
  return [text.slice(0, at), zone.startsWith('25') && zone.length > 2 ? zone.slice(2) : zone];
}

function parseName(text: string): string {
  if (outsideNames.test(text)) throw refused(text, 'a name has letters, digits, hyphens and dots');
  const name = domainToASCII(text).replace(/\.$/, '');
  // `domainToASCII` gives an address for a number in any base, and nothing for one out of range.
  if (numericLabel.test(lastLabel(name)) || numericLabel.test(lastLabel(text.replace(/\.$/, ''))))
    throw refused(
      text,
      'an IPv4 address has four numbers from 0 to 255 without leading zeros, and no name ends in a number',
    );
  if (name.length > NAME_LENGTH_MAX) throw refused(text, `a name has at most ${NAME_LENGTH_MAX} characters`);
  if (name === '' || !name.split('.').every((each) => label.test(each)))
    throw refused(
      text,
      'not a DNS name: labels of 1 to 63 letters, digits and inner hyphens, with one dot between them',
    );
  if (name.split('.').some(isBrokenALabel))
    throw refused(text, 'a label that begins with xn-- is not a name in Unicode');
  if (name.includes('xn--') && mixesScripts(domainToUnicode(name)))
    throw refused(
      text,
      'a label has letters of scripts that are not written together, so people would take it for another name',
    );
  return name;
}

function lastLabel(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

// RFC 5890 section 2.3.2.1: an A-label and its U-label are made from one another.
function isBrokenALabel(text: string): boolean {
  if (!text.startsWith('xn--')) return false;
  const unicode = domainToUnicode(text);
  return unicode === text || domainToASCII(unicode) !== text;
}

function refused(given: string, expected: string): CoreError {
  const shown = given.length > 80 ? `${given.slice(0, 80)}…` : given;
  return new CoreError('address-invalid', `${JSON.stringify(shown)}: ${expected}`);
}
