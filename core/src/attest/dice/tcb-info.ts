// DiceTcbInfo, MultiTcbInfo and UEID (DICE Attestation Architecture 1.1, section 6.1 and appendix A): what a DICE layer measured about the
// next one, as an extension of the certificate that it issued. Limited and strict; this file does not decide whether to trust the
// certificate.
import { parseUtf8 } from '../../bytes.ts';
import { DerReader, derTag } from '../../der.ts';
import { CoreError } from '../../error.ts';
import type { Extension } from '../../identity/extensions.ts';
import { type FlagSet, readFlags } from './flags.ts';
import { type Fwid, readFwids } from './fwid.ts';
import { diceExtensionOid } from './oid.ts';
import { registerTag, tag } from './tcb-info-tag.ts';

const TEXT_BYTES_MAX = 256;
const VENDOR_INFO_BYTES_MAX = 1024;
const TYPE_BYTES_MAX = 256;
const REGISTERS_MAX = 16;
const TCB_INFOS_MAX = 16;

export interface IntegrityRegister {
  readonly name?: string | undefined;
  readonly number?: number | undefined;
  readonly digests: readonly Fwid[];
}

export interface TcbInfo {
  readonly vendor?: string | undefined;
  readonly model?: string | undefined;
  readonly version?: string | undefined;
  readonly svn?: number | undefined;
  readonly layer?: number | undefined;
  readonly index?: number | undefined;
  readonly fwids?: readonly Fwid[] | undefined;
  readonly flags?: FlagSet | undefined;
  readonly vendorInfo?: Uint8Array | undefined;
  readonly type?: Uint8Array | undefined;
  readonly flagsMask?: FlagSet | undefined;
  readonly integrityRegisters?: readonly IntegrityRegister[] | undefined;
}

/** A TcbInfo with the DER it was read from. */
export interface ReadTcbInfo extends TcbInfo {
  readonly der: Uint8Array;
}

/** Parses the value of a TcbInfo extension. Throws `der-invalid` or `encoding-invalid`. */
export function parseTcbInfo(value: Uint8Array): ReadTcbInfo {
  const reader = new DerReader(value, 'TcbInfo');
  const info = readTcbInfo(reader);
  reader.end();
  return info;
}

/** Parses the value of a MultiTcbInfo extension: 1 to 16 TcbInfos. Throws as `parseTcbInfo`. */
export function parseMultiTcbInfo(value: Uint8Array): readonly ReadTcbInfo[] {
  const reader = new DerReader(value, 'MultiTcbInfo');
  const list = reader.inside();
  reader.end();
  const infos: ReadTcbInfo[] = [];
  while (!list.done) {
    if (infos.length === TCB_INFOS_MAX) throw new CoreError('der-invalid', `MultiTcbInfo: over ${TCB_INFOS_MAX}`);
    infos.push(readTcbInfo(list));
  }
  if (infos.length === 0) throw new CoreError('der-invalid', 'MultiTcbInfo: an empty list');
  return infos;
}

/** Parses the value of a UEID extension: SEQUENCE { ueid OCTET STRING }, 1 to 33 bytes (RFC 9711 section 4.2.1). */
export function parseUeid(value: Uint8Array): Uint8Array {
  const reader = new DerReader(value, 'UEID');
  const inner = reader.inside();
  reader.end();
  const ueid = inner.octetString();
  inner.end();
  if (ueid.length === 0 || ueid.length > 33) throw new CoreError('der-invalid', `UEID: ${ueid.length} bytes`);
  return ueid;
}

/** What a certificate's extensions say about its layer: none, one or several TcbInfos. Throws as the parsers do. */
export function tcbInfosIn(extensions: readonly Extension[]): readonly ReadTcbInfo[] {
  const valueOf = (oid: string) => extensions.find((extension) => extension.oid === oid)?.value;
  const one = valueOf(diceExtensionOid.tcbInfo);
  const several = valueOf(diceExtensionOid.multiTcbInfo);
  const ueid = valueOf(diceExtensionOid.ueid);
  // It decides nothing, but a possibly critical extension must be read or refused.
  if (ueid !== undefined) parseUeid(ueid);
  if (one !== undefined && several !== undefined) {
    throw new CoreError('der-invalid', 'a certificate with both TcbInfo and MultiTcbInfo');
  }
  if (one !== undefined) return [parseTcbInfo(one)];
  return several === undefined ? [] : parseMultiTcbInfo(several);
}

// Fields come in ascending order: anything left at the end was out of order, repeated or unknown.
function readTcbInfo(outer: DerReader): ReadTcbInfo {
  const whole = outer.value(derTag.sequence);
  const reader = outer.into(whole);
  const has = (wanted: number) => reader.nextTag === wanted;
  const info = {
    der: whole.whole,
    vendor: has(tag.vendor) ? readText(reader, tag.vendor) : undefined,
    model: has(tag.model) ? readText(reader, tag.model) : undefined,
    version: has(tag.version) ? readText(reader, tag.version) : undefined,
    svn: has(tag.svn) ? readNumber(reader, tag.svn) : undefined,
    layer: has(tag.layer) ? readNumber(reader, tag.layer) : undefined,
    index: has(tag.index) ? readNumber(reader, tag.index) : undefined,
    fwids: has(tag.fwids) ? readFwids(reader.inside(tag.fwids)) : undefined,
    flags: has(tag.flags) ? readFlags(reader, tag.flags) : undefined,
    vendorInfo: has(tag.vendorInfo) ? readOctets(reader, tag.vendorInfo, VENDOR_INFO_BYTES_MAX) : undefined,
    type: has(tag.type) ? readOctets(reader, tag.type, TYPE_BYTES_MAX) : undefined,
    flagsMask: has(tag.flagsMask) ? readFlags(reader, tag.flagsMask) : undefined,
    integrityRegisters: has(tag.integrityRegisters) ? readRegisters(reader.inside(tag.integrityRegisters)) : undefined,
  };
  reader.end();
  return info;
}

function readText(reader: DerReader, wanted: number): string {
  const content = readOctets(reader, wanted, TEXT_BYTES_MAX);
  const text = parseUtf8(content, 'TcbInfo');
  if (/\p{C}/u.test(text)) throw new CoreError('der-invalid', 'TcbInfo: a text with control characters');
  return text;
}

function readOctets(reader: DerReader, wanted: number, maxBytes: number): Uint8Array {
  const { content } = reader.value(wanted);
  if (content.length > maxBytes)
    throw new CoreError('der-invalid', `TcbInfo: a field of ${content.length} bytes, at most ${maxBytes}`);
  return content;
}

function readNumber(reader: DerReader, wanted: number): number {
  const content = reader.integer(wanted);
  const value = content.reduce((sum, octet) => sum * 256 + octet, 0);
  if ((content[0] ?? 0) >= 0x80 || content.length > 8 || !Number.isSafeInteger(value)) {
    throw new CoreError('der-invalid', 'TcbInfo: a number outside 0 to 2^53 - 1');
  }
  return value;
}

function readRegisters(list: DerReader): readonly IntegrityRegister[] {
  const registers: IntegrityRegister[] = [];
  while (!list.done) {
    if (registers.length === REGISTERS_MAX)
      throw new CoreError('der-invalid', `TcbInfo: over ${REGISTERS_MAX} registers`);
    const register = list.inside();
    const name = register.nextTag === registerTag.name ? readText(register, registerTag.name) : undefined;
    const number = register.nextTag === registerTag.number ? readNumber(register, registerTag.number) : undefined;
    const digests = readFwids(register.inside(registerTag.digests));
    register.end();
    registers.push({ name, number, digests });
  }
  if (registers.length === 0) throw new CoreError('der-invalid', 'TcbInfo: an empty list of registers');
  return registers;
}
