// Distinguished names (RFC 5280 section 4.1.2.4): read, written, and compared by the rules of its section 7.1.
import { concat, equalBytes, parseUtf8, toHex, utf8 } from '../bytes.ts';
import {
  DerReader,
  derOid,
  derPrintableString,
  derSequence,
  derSetOf,
  derTag,
  derUtf8String,
  parseAscii,
} from '../der.ts';
import { CoreError } from '../error.ts';
import { attributeOid } from './oid.ts';

// Real names have under ten parts of under 100 characters; more is an attempt to waste our time.
const ATTRIBUTES_MAX = 32;

export interface NameAttribute {
  readonly oid: string;
  /** The value when its type is one of the text types; undefined for the types RFC 5280 has retired. */
  readonly text: string | undefined;
  /** The value's DER. */
  readonly der: Uint8Array;
}

export interface DistinguishedName {
  /** The name's own DER, as received. */
  readonly der: Uint8Array;
  /** Relative distinguished names, outermost first; nearly all have one attribute. */
  readonly parts: readonly (readonly NameAttribute[])[];
}

/** Reads the next value of `reader` as a Name. */
export function readName(reader: DerReader, what: string): DistinguishedName {
  const value = reader.value(derTag.sequence);
  const rdns = reader.into(value);
  const parts: NameAttribute[][] = [];
  let count = 0;
  while (!rdns.done) {
    const rdn = rdns.inside(derTag.set);
    const attributes: NameAttribute[] = [];
    while (!rdn.done) {
      if ((count += 1) > ATTRIBUTES_MAX)
        throw new CoreError('der-invalid', `${what}: over ${ATTRIBUTES_MAX} attributes`);
      attributes.push(readAttribute(rdn.inside(), what));
    }
    if (attributes.length === 0) throw new CoreError('der-invalid', `${what}: an empty part`);
    parts.push(attributes);
  }
  return { der: value.whole, parts };
}

function readAttribute(pair: DerReader, what: string): NameAttribute {
  const oid = pair.oid();
  const { tag, content, whole } = pair.any();
  pair.end();
  if (tag === derTag.utf8String) return { oid, text: parseUtf8(content, what), der: whole };
  if (pair.rules === 'foreign') return { oid, text: foreignText(tag, content), der: whole };
  const ascii = tag === derTag.printableString || tag === derTag.ia5String;
  return { oid, text: ascii ? parseAscii(content, what) : undefined, der: whole };
}

// Every string type that an old authority may have used, read as OpenSSL reads it: T61String as Latin-1, characters outside a type's
// alphabet unchanged.
function foreignText(tag: number, content: Uint8Array): string | undefined {
  const bytes = Buffer.from(content);
  switch (tag) {
    case derTag.printableString:
    case derTag.ia5String:
    case derTag.numericString:
    case derTag.visibleString:
    case derTag.t61String:
      return bytes.toString('latin1');
    case derTag.bmpString:
      return bytes.length % 2 === 0 ? bytes.swap16().toString('utf16le') : undefined;
    case derTag.universalString:
      return universalText(bytes);
    default:
      return undefined;
  }
}

function universalText(bytes: Buffer): string | undefined {
  if (bytes.length % 4 !== 0) return undefined;
  const points = Array.from({ length: bytes.length / 4 }, (_, at) => bytes.readUInt32BE(at * 4));
  return points.every((point) => point <= 0x10ffff) ? String.fromCodePoint(...points) : undefined;
}

// RFC 5280 appendix A.1 gives these types PrintableString and nothing else.
const printableTypes: readonly string[] = [attributeOid.serialNumber, attributeOid.country];

/** One attribute of a name to write: as UTF8String, or as PrintableString where RFC 5280 requires it. */
export interface NamePart {
  readonly oid: string;
  readonly text: string;
}

/** Writes a name, one attribute a part, outermost first. */
export function encodeName(parts: readonly NamePart[]): DistinguishedName {
  const value = ({ oid, text }: NamePart) =>
    printableTypes.includes(oid) ? derPrintableString(text) : derUtf8String(text);
  const der = derSequence(...parts.map((part) => derSetOf(derSequence(derOid(part.oid), value(part)))));
  return readName(new DerReader(der, 'name'), 'name');
}

/** The name whose only attribute is this common name. */
export function commonNameOnly(text: string): DistinguishedName {
  return encodeName([{ oid: attributeOid.commonName, text }]);
}

export function attributeText(name: DistinguishedName, oid: string): string | undefined {
  return name.parts.flat().find((attribute) => attribute.oid === oid)?.text;
}

export function equalNames(a: DistinguishedName, b: DistinguishedName): boolean {
  return equalBytes(a.der, b.der) || (a.parts.length === b.parts.length && nameWithin(a, b));
}

/** The same bytes for equal names: to look a name up by. */
export function canonicalName(name: DistinguishedName): Uint8Array {
  return derSequence(...name.parts.map(comparable));
}

/** Whether `base` is `name` or one of its ancestors (RFC 5280 section 4.2.1.10, directoryName constraints). */
export function nameWithin(name: DistinguishedName, base: DistinguishedName): boolean {
  if (base.parts.length > name.parts.length) return false;
  return base.parts.every((part, at) => equalBytes(comparable(part), comparable(name.parts[at] ?? [])));
}

// RFC 5280 section 7.1: text compares without case, leading, trailing or repeated white space; the order in a set does not count.
function comparable(part: readonly NameAttribute[]): Uint8Array {
  const forms = part.map(({ oid, text, der }) => {
    const folded = text?.normalize('NFKC').toLowerCase().trim().replaceAll(/\s+/g, ' ');
    return derSequence(derOid(oid), folded === undefined ? der : derUtf8String(folded));
  });
  return derSetOf(...forms);
}

const shortNames: Readonly<Record<string, string>> = {
  [attributeOid.commonName]: 'CN',
  [attributeOid.country]: 'C',
  [attributeOid.locality]: 'L',
  [attributeOid.state]: 'ST',
  [attributeOid.organization]: 'O',
  [attributeOid.organizationalUnit]: 'OU',
  [attributeOid.serialNumber]: 'serialNumber',
};

/** A line for people and logs, `CN=pump-7,O=Example`; control characters and separators are escaped, so it cannot forge a log line. */
export function nameText(name: DistinguishedName): string {
  const attribute = ({ oid, text, der }: NameAttribute) =>
    `${shortNames[oid] ?? oid}=${text === undefined ? `#${toHex(der)}` : escapeText(text)}`;
  return name.parts.map((part) => part.map(attribute).join('+')).join(',') || '(empty name)';
}

function escapeText(text: string): string {
  return text.replaceAll(/[\p{C}\p{Zl}\p{Zp},+=\\"<>;#]/gu, (character) => {
    const bytes = concat(utf8(character));
    return [...bytes].map((octet) => `\\${octet.toString(16).padStart(2, '0')}`).join('');
  });
}
