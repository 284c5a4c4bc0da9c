// GeneralName (RFC 5280 section 4.2.1.6): the forms a subject alternative name or a name constraint can take.
import { isIPv4, isIPv6 } from 'node:net';
import { utf8 } from '../bytes.ts';
import { contextTag, type DerReader, derOid, derSequence, derValue, parseAscii } from '../der.ts';
import { CoreError } from '../error.ts';
import { type DistinguishedName, readName } from './distinguished-name.ts';

// A server certificate for a whole company has a few hundred names; a device has one.
const GENERAL_NAMES_MAX = 512;

export type GeneralName =
  | { readonly kind: 'dns' | 'uri' | 'email'; readonly text: string }
  | { readonly kind: 'ip'; readonly bytes: Uint8Array }
  | { readonly kind: 'directory'; readonly name: DistinguishedName }
  | { readonly kind: 'other'; readonly oid: string; readonly value: Uint8Array }
  | { readonly kind: 'registered-id'; readonly oid: string }
  /** x400Address and ediPartyName: kept so that a constraint on them can be refused, never interpreted. */
  | { readonly kind: 'unsupported'; readonly tag: number; readonly value: Uint8Array };

/** Reads GeneralNames: a sequence of one or more. */
export function readGeneralNames(reader: DerReader, what: string): readonly GeneralName[] {
  const names: GeneralName[] = [];
  const list = reader.inside();
  while (!list.done) {
    if (names.length === GENERAL_NAMES_MAX)
      throw new CoreError('der-invalid', `${what}: over ${GENERAL_NAMES_MAX} names`);
    names.push(readGeneralName(list, what));
  }
  if (names.length === 0) throw new CoreError('der-invalid', `${what}: an empty list of names`);
  return names;
}

export function readGeneralName(reader: DerReader, what: string): GeneralName {
  const { nextTag } = reader;
  switch (nextTag) {
    case contextTag(0, true): {
      const other = reader.inside(nextTag);
      const oid = other.oid();
      const value = other.value(contextTag(0, true)).content;
      other.end();
      return { kind: 'other', oid, value };
    }
    case contextTag(1, false):
      return { kind: 'email', text: readText(reader, what) };
    case contextTag(2, false):
      return { kind: 'dns', text: readText(reader, what) };
    case contextTag(4, true): {
      const explicit = reader.inside(nextTag);
      const name = readName(explicit, what);
      explicit.end();
      return { kind: 'directory', name };
    }
    case contextTag(6, false):
      return { kind: 'uri', text: readText(reader, what) };
    case contextTag(7, false):
      return { kind: 'ip', bytes: reader.any().content };
    case contextTag(8, false):
      return { kind: 'registered-id', oid: reader.oid(nextTag) };
    case contextTag(3, true):
    case contextTag(5, true):
      return { kind: 'unsupported', tag: nextTag, value: reader.any().content };
    default:
      throw new CoreError('der-invalid', `${what}: not a GeneralName (tag ${nextTag})`);
  }
}

// IA5String. Some authorities write letters outside its alphabet, and OpenSSL reads them; a control character or a zero octet is never
// valid.
function readText(reader: DerReader, what: string): string {
  const { content } = reader.any();
  if (reader.rules === 'strict') return parseAscii(content, what);
  const text = Buffer.from(content).toString('latin1');
  if (/\p{Cc}/u.test(text)) throw new CoreError('der-invalid', `${what}: a control character in a name`);
  return text;
}

export function encodeGeneralNames(names: readonly GeneralName[]): Uint8Array {
  return derSequence(...names.map(encodeGeneralName));
}

export function encodeGeneralName(name: GeneralName): Uint8Array {
  switch (name.kind) {
    case 'other':
      return derValue(contextTag(0, true), derOid(name.oid), derValue(contextTag(0, true), name.value));
    case 'email':
      return derValue(contextTag(1, false), ia5(name.text));
    case 'dns':
      return derValue(contextTag(2, false), ia5(name.text));
    case 'directory':
      return derValue(contextTag(4, true), name.name.der);
    case 'uri':
      return derValue(contextTag(6, false), ia5(name.text));
    case 'ip':
      return derValue(contextTag(7, false), name.bytes);
    case 'registered-id':
      return derOid(name.oid, contextTag(8, false));
    case 'unsupported':
      return derValue(name.tag, name.value);
  }
}

function ia5(text: string): Uint8Array {
  const bytes = utf8(text);
  parseAscii(bytes, 'name');
  return bytes;
}

/** The octets of a textual IPv4 or IPv6 address, as iPAddress names hold them; anything else throws `encoding-invalid`. */
export function parseIpAddress(text: string): Uint8Array {
  if (isIPv4(text)) return Uint8Array.from(text.split('.').map(Number));
  if (isIPv6(text) && !text.includes('%')) return parseIpv6(text);
  throw new CoreError('encoding-invalid', `not an IP address: ${text}`);
}

function parseIpv6(text: string): Uint8Array {
  // The URL parser turns every spelling, including an embedded IPv4 address, into the one of RFC 5952.
  const canonical = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const groups = (part: string) => part.split(':').filter((group) => group !== '');
  const front = groups(head);
  const back = groups(tail ?? '');
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return Uint8Array.from([...front, ...zeros, ...back].flatMap((group) => splitGroup(Number.parseInt(group, 16))));
}

function splitGroup(group: number): readonly number[] {
  return [group >> 8, group & 0xff];
}
