// DER (ITU-T X.690 section 10): the one encoding of each ASN.1 value, read and written. Refused: indefinite and non-minimal lengths,
// multi-byte tags, non-minimal integers, deep nesting, trailing bytes. Other issuers' DER is read by the rules `foreign`: several encodings
// of a value are accepted where X.690 section 11 binds only the writer.
import { concat, parseUtf8, utf8 } from './bytes.ts';
import { CoreError } from './error.ts';

/** Identifier octets (class, constructed bit and number in one) of the types X.509 uses. */
export const derTag = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  t61String: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Certificates nest about ten deep; a bomb of nested sequences stops here. */
export const DER_DEPTH_MAX = 24;
// Object identifiers in use are under 20 octets; this limits the arithmetic on one.
const OID_LENGTH_MAX = 64;
// A certificate has under 64 KiB; six more octets of padding are enough for any encoder, and keep numbers small.
const FOREIGN_LENGTH_OCTETS_MAX = 6;

/**
 * The rules of a reader. `strict` is DER, for what this product defines and issues. `foreign` reads what OpenSSL reads if the value is the
 * same: padded and indefinite lengths, any octet except zero as true, unused bits that are set, a GeneralizedTime before 2050.
 */
export type DerRules = 'strict' | 'foreign';

export interface DerValue {
  readonly tag: number;
  readonly content: Uint8Array;
  /** The value with its identifier and length, as received: what signatures cover. */
  readonly whole: Uint8Array;
}

export interface BitString {
  readonly bytes: Uint8Array;
  readonly unusedBits: number;
}

/** The identifier octet of a context-specific tag. */
export function contextTag(number: number, constructed: boolean): number {
  return 0x80 | (constructed ? 0x20 : 0) | number;
}

/** Reads DER values front to back. Everything that is not the expected DER throws `der-invalid`; slices are views. */
export class DerReader {
  readonly rules: DerRules;
  readonly #bytes: Uint8Array;
  readonly #what: string;
  readonly #depth: number;
  #offset = 0;

  /** `what` names the structure in error messages. */
  constructor(bytes: Uint8Array, what: string, rules: DerRules = 'strict', depth = 0) {
    if (depth > DER_DEPTH_MAX) throw new CoreError('der-invalid', `${what}: nested deeper than ${DER_DEPTH_MAX}`);
    this.#bytes = bytes;
    this.#what = what;
    this.rules = rules;
    this.#depth = depth;
  }

  get done(): boolean {
    return this.#offset === this.#bytes.length;
  }

  /** The identifier octet of the next value; undefined at the end. */
  get nextTag(): number | undefined {
    return this.#bytes[this.#offset];
  }

  /** The next value, of any type. */
  any(): DerValue {
    const start = this.#offset;
    const tag = this.#octet();
    if ((tag & 0x1f) === 0x1f) throw this.#error('a multi-byte tag');
    const length = this.#length();
    if (length === 'indefinite') return this.#untilEndMark(start, tag);
    if (length > this.#bytes.length - this.#offset) {
      throw this.#error(`a value of ${length} bytes where ${this.#bytes.length - this.#offset} are left`);
    }
    const content = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return { tag, content, whole: this.#bytes.subarray(start, this.#offset) };
  }

  value(tag: number): DerValue {
    const value = this.any();
    if (value.tag !== tag) throw this.#error(`expected tag ${hexTag(tag)}, found ${hexTag(value.tag)}`);
    return value;
  }

  /** The next value if it has this tag; undefined, and nothing read, if not. */
  optional(tag: number): DerValue | undefined {
    return this.nextTag === tag ? this.any() : undefined;
  }

  /** A reader over the content of the next value, which has this tag (a sequence, a set, an explicit tag). */
  inside(tag: number = derTag.sequence): DerReader {
    return this.into(this.value(tag));
  }

  /** A reader over the content of a value that this reader gave, one level deeper. */
  into(value: DerValue): DerReader {
    return new DerReader(value.content, this.#what, this.rules, this.#depth + 1);
  }

  boolean(): boolean {
    const { content } = this.value(derTag.boolean);
    if (content.length === 1 && content[0] === 0xff) return true;
    if (content.length === 1 && content[0] === 0x00) return false;
    if (content.length === 1 && this.rules === 'foreign') return true;
    throw this.#error('a boolean that is neither 00 nor ff');
  }

  /** The content octets of an integer: two's complement, big-endian, minimal. */
  integer(tag: number = derTag.integer): Uint8Array {
    const { content } = this.value(tag);
    const [first = 0, second = 0] = content;
    const padded = content.length > 1 && ((first === 0x00 && second < 0x80) || (first === 0xff && second >= 0x80));
    if (content.length === 0 || padded) throw this.#error('an integer that is empty or not minimal');
    return content;
  }

  /** A non-negative integer of at most 31 bits: versions, counts, path lengths. */
  smallInteger(tag: number = derTag.integer): number {
    const content = this.integer(tag);
    if (content.length > 4 || (content[0] ?? 0) >= 0x80) throw this.#error('an integer outside 0 to 2^31 - 1');
    return content.reduce((sum, octet) => sum * 256 + octet, 0);
  }

  bitString(tag: number = derTag.bitString): BitString {
    const { content } = this.value(tag);
    const unusedBits = content[0];
    const last = content.length > 1 ? (content.at(-1) ?? 0) : 0;
    if (unusedBits === undefined || unusedBits > 7 || (content.length === 1 && unusedBits !== 0)) {
      throw this.#error('a bit string with a wrong count of unused bits');
    }
    const bytes = content.subarray(1);
    const unused = (1 << unusedBits) - 1;
    if ((last & unused) === 0) return { bytes, unusedBits };
    if (this.rules === 'strict') throw this.#error('a bit string with unused bits set');
    // X.690 section 11.2.1 binds the writer; the value of an unused bit does not matter.
    return { bytes: bytes.map((octet, at) => (at === bytes.length - 1 ? octet & ~unused : octet)), unusedBits };
  }

  /** A bit string of whole octets: keys and signatures. */
  octetsInBitString(): Uint8Array {
    const { bytes, unusedBits } = this.bitString();
    if (unusedBits !== 0) throw this.#error('a bit string that is not whole octets');
    return bytes;
  }

  octetString(): Uint8Array {
    return this.value(derTag.octetString).content;
  }

  null(): void {
    if (this.value(derTag.null).content.length !== 0) throw this.#error('a null with content');
  }

  /** An object identifier in dotted form. */
  oid(tag: number = derTag.oid): string {
    const { content } = this.value(tag);
    if (content.length === 0 || content.length > OID_LENGTH_MAX || (content.at(-1) ?? 0) >= 0x80) {
      throw this.#error('an object identifier that is empty, too long or cut short');
    }
    const arcs: bigint[] = [];
    let arc = 0n;
    let fresh = true;
    for (const octet of content) {
      if (fresh && octet === 0x80) throw this.#error('an object identifier with a padded arc');
      arc = (arc << 7n) | BigInt(octet & 0x7f);
      fresh = octet < 0x80;
      if (fresh) {
        arcs.push(arc);
        arc = 0n;
      }
    }
    const [joined = 0n, ...rest] = arcs;
    const root = joined < 80n ? joined / 40n : 2n;
    return [root, joined - root * 40n, ...rest].join('.');
  }

  /** A UTCTime or GeneralizedTime in the form of RFC 5280 section 4.1.2.5 (Z, seconds, no fraction), as Unix seconds. */
  time(): number {
    const value = this.any();
    const text = Buffer.from(value.content).toString('latin1');
    if (value.tag === derTag.utcTime && /^\d{12}Z$/.test(text)) {
      const century = Number(text.slice(0, 2)) >= 50 ? '19' : '20';
      return this.#seconds(century + text);
    }
    if (value.tag === derTag.generalizedTime && /^\d{14}Z$/.test(text)) {
      // RFC 5280 section 4.1.2.5: dates through 2049 must be written as UTCTime, and readers must process both forms.
      const year = Number(text.slice(0, 4));
      if (this.rules === 'strict' && year >= 1950 && year < 2050) {
        throw this.#error('a GeneralizedTime before 2050');
      }
      return this.#seconds(text);
    }
    throw this.#error('a time that is not YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ');
  }

  /** Asserts that everything was read. */
  end(): void {
    if (!this.done) throw this.#error(`${this.#bytes.length - this.#offset} bytes left over`);
  }

  #seconds(digits: string): number {
    const part = (at: number, length: number) => digits.slice(at, at + length);
    const iso = `${part(0, 4)}-${part(4, 2)}-${part(6, 2)}T${part(8, 2)}:${part(10, 2)}:${part(12, 2)}.000Z`;
    const date = new Date(iso);
    // The engine moves 31 February to March; a date that does not survive the round trip does not exist.
    if (Number.isNaN(date.getTime()) || date.toISOString() !== iso) throw this.#error(`no such time: ${digits}`);
    return date.getTime() / 1000;
  }

  #octet(): number {
    const octet = this.#bytes[this.#offset];
    if (octet === undefined) throw this.#error('cut short');
    this.#offset += 1;
    return octet;
  }

  #length(): number | 'indefinite' {
    const first = this.#octet();
    if (first < 0x80) return first;
    const count = first & 0x7f;
    if (this.rules === 'foreign') return this.#foreignLength(count);
    // Zero octets means indefinite length (BER only); four would be more than any structure here may have.
    if (count === 0 || count > 3) throw this.#error('a length that is indefinite or too long');
    let length = 0;
    for (let at = 0; at < count; at++) length = length * 256 + this.#octet();
    if (length < 0x80 || length < 256 ** (count - 1)) throw this.#error('a length that is not minimal');
    return length;
  }

  // X.690 section 8.1.3: the indefinite form, and the long form with more octets than it needs.
  #foreignLength(count: number): number | 'indefinite' {
    if (count === 0) return 'indefinite';
    if (count > FOREIGN_LENGTH_OCTETS_MAX) throw this.#error('a length of too many octets');
    let length = 0;
    for (let at = 0; at < count; at++) length = length * 256 + this.#octet();
    return length;
  }

  // Content of indefinite length ends with two zero octets (X.690 section 8.1.5).
  #untilEndMark(start: number, tag: number): DerValue {
    if ((tag & 0x20) === 0) throw this.#error('a primitive value of indefinite length');
    const from = this.#offset;
    const inner = new DerReader(this.#bytes.subarray(from), this.#what, this.rules, this.#depth + 1);
    while (inner.nextTag !== 0) inner.any();
    const end = from + inner.#offset;
    if (inner.any().content.length !== 0) throw this.#error('an end mark with content');
    this.#offset = from + inner.#offset;
    return { tag, content: this.#bytes.subarray(from, end), whole: this.#bytes.subarray(start, this.#offset) };
  }

  #error(problem: string): CoreError {
    return new CoreError('der-invalid', `${this.#what}: ${problem} (offset ${this.#offset}, depth ${this.#depth})`);
  }
}

function hexTag(tag: number): string {
  return `0x${tag.toString(16).padStart(2, '0')}`;
}

/** One value: identifier, length, content. */
export function derValue(tag: number, ...content: readonly Uint8Array[]): Uint8Array {
  const length = content.reduce((sum, part) => sum + part.length, 0);
  if (length > 0xffffff) throw new CoreError('bytes-too-long', `a DER value of ${length} bytes`);
  const octets = [length >> 16, (length >> 8) & 0xff, length & 0xff];
  while (octets.length > 1 && octets[0] === 0) octets.shift();
  const prefix = length < 0x80 ? [tag, length] : [tag, 0x80 | octets.length, ...octets];
  return concat(Uint8Array.from(prefix), ...content);
}

export function derSequence(...content: readonly Uint8Array[]): Uint8Array {
  return derValue(derTag.sequence, ...content);
}

/** SET OF: the encodings in ascending order (X.690 section 11.6). */
export function derSetOf(...content: readonly Uint8Array[]): Uint8Array {
  return derValue(derTag.set, ...content.toSorted((a, b) => Buffer.compare(a, b)));
}

export function derExplicit(number: number, ...content: readonly Uint8Array[]): Uint8Array {
  return derValue(contextTag(number, true), ...content);
}

export function derBoolean(value: boolean): Uint8Array {
  return derValue(derTag.boolean, Uint8Array.of(value ? 0xff : 0x00));
}

/** A non-negative integer, from a number or from unsigned big-endian bytes. */
export function derInteger(value: number | Uint8Array): Uint8Array {
  const bytes = typeof value === 'number' ? unsignedBytes(value) : value;
  const start = bytes.findIndex((octet) => octet !== 0);
  const digits = start === -1 ? Uint8Array.of(0) : bytes.subarray(start);
  const sign = (digits[0] ?? 0) >= 0x80 ? Uint8Array.of(0) : new Uint8Array(0);
  return derValue(derTag.integer, sign, digits);
}

function unsignedBytes(value: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new CoreError('der-invalid', `not an unsigned integer: ${value}`);
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

export function derBitString(bytes: Uint8Array, unusedBits = 0): Uint8Array {
  return derValue(derTag.bitString, Uint8Array.of(unusedBits), bytes);
}

export function derOctetString(bytes: Uint8Array): Uint8Array {
  return derValue(derTag.octetString, bytes);
}

export function derNull(): Uint8Array {
  return derValue(derTag.null);
}

export function derOid(dotted: string, tag: number = derTag.oid): Uint8Array {
  if (!/^[012](\.(0|[1-9]\d{0,38}))+$/.test(dotted)) {
    throw new CoreError('der-invalid', `not an object identifier: ${dotted}`);
  }
  const [root = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  if (root < 2n && second > 39n) throw new CoreError('der-invalid', `not an object identifier: ${dotted}`);
  return derValue(tag, Uint8Array.from([root * 40n + second, ...rest].flatMap(base128)));
}

function base128(arc: bigint): number[] {
  const octets = [Number(arc & 0x7fn)];
  for (let rest = arc >> 7n; rest > 0n; rest >>= 7n) octets.unshift(0x80 | Number(rest & 0x7fn));
  return octets;
}

export function derUtf8String(text: string): Uint8Array {
  return derValue(derTag.utf8String, utf8(text));
}

/** Throws `der-invalid` for a character that PrintableString (X.680 section 41.4) does not have. */
export function derPrintableString(text: string): Uint8Array {
  if (!/^[A-Za-z0-9 '()+,\-./:=?]*$/.test(text)) {
    throw new CoreError('der-invalid', `not a PrintableString: ${JSON.stringify(text)}`);
  }
  return derValue(derTag.printableString, utf8(text));
}

/** A moment in Unix seconds as RFC 5280 section 4.1.2.5 requires: UTCTime through 2049, GeneralizedTime from 2050. */
export function derTime(seconds: number): Uint8Array {
  // 9999-12-31T23:59:59Z, "no well-defined expiration", is the last one; 1950 is the first.
  if (!Number.isInteger(seconds) || seconds < -631_152_000 || seconds > 253_402_300_799) {
    throw new CoreError('der-invalid', `not a time a certificate can hold: ${seconds}`);
  }
  const digits = new Date(seconds * 1000).toISOString().replaceAll(/[-:T]|\.000/g, '');
  if (Number(digits.slice(0, 4)) < 2050) return derValue(derTag.utcTime, utf8(digits.slice(2)));
  return derValue(derTag.generalizedTime, utf8(digits));
}

/** ASCII text of the string types that may hold nothing else (IA5String, PrintableString, host names). */
export function parseAscii(content: Uint8Array, what: string): string {
  const text = parseUtf8(content, what);
  // oxlint-disable-next-line no-control-regex -- this refuses control characters in names
  if (!/^[\x20-\x7e]*$/.test(text)) throw new CoreError('der-invalid', `${what}: expected printable ASCII`);
  return text;
}
