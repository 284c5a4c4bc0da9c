// For tests: DiceTcbInfo, MultiTcbInfo and UEID as a maker of firmware writes them.
import { utf8 } from '../../bytes.ts';
import { derBitString, derInteger, derOctetString, derOid, derSequence, derValue } from '../../der.ts';
import type { Extension } from '../../identity/extensions.ts';
import { type FlagSet, operationalFlags } from './flags.ts';
import type { Fwid } from './fwid.ts';
import { diceExtensionOid } from './oid.ts';
import type { IntegrityRegister, TcbInfo } from './tcb-info.ts';
import { registerTag, tag } from './tcb-info-tag.ts';

/** The DER of a TcbInfo: the value of its extension. */
export function encodeTcbInfo(info: TcbInfo): Uint8Array {
  const text = (wanted: number, value: string | undefined) =>
    value === undefined ? [] : [derValue(wanted, utf8(value))];
  const number = (wanted: number, value: number | undefined) =>
    value === undefined ? [] : [retagged(wanted, derInteger(value))];
  const octets = (wanted: number, value: Uint8Array | undefined) =>
    value === undefined ? [] : [derValue(wanted, value)];
  const flags = (wanted: number, value: FlagSet | undefined) =>
    value === undefined ? [] : [retagged(wanted, encodeFlags(value))];
  const register = ({ name, number: value, digests }: IntegrityRegister) =>
    derSequence(
      ...text(registerTag.name, name),
      ...number(registerTag.number, value),
      derValue(registerTag.digests, ...encodeFwids(digests)),
    );
  const { fwids, integrityRegisters } = info;
  return derSequence(
    ...text(tag.vendor, info.vendor),
    ...text(tag.model, info.model),
    ...text(tag.version, info.version),
    ...number(tag.svn, info.svn),
    ...number(tag.layer, info.layer),
    ...number(tag.index, info.index),
    ...(fwids === undefined ? [] : [derValue(tag.fwids, ...encodeFwids(fwids))]),
    ...flags(tag.flags, info.flags),
    ...octets(tag.vendorInfo, info.vendorInfo),
    ...octets(tag.type, info.type),
    ...flags(tag.flagsMask, info.flagsMask),
    ...(integrityRegisters === undefined
      ? []
      : [derValue(tag.integrityRegisters, ...integrityRegisters.map(register))]),
  );
}

/** The extension; the TCG allows it to be critical or not. */
export function tcbInfoExtension(info: TcbInfo, critical = false): Extension {
  return { oid: diceExtensionOid.tcbInfo, critical, value: encodeTcbInfo(info) };
}

export function multiTcbInfoExtension(infos: readonly TcbInfo[], critical = false): Extension {
  return { oid: diceExtensionOid.multiTcbInfo, critical, value: derSequence(...infos.map(encodeTcbInfo)) };
}

export function ueidExtension(ueid: Uint8Array): Extension {
  return { oid: diceExtensionOid.ueid, critical: false, value: derSequence(derOctetString(ueid)) };
}

// An implicit tag replaces the identifier octet; the rest stays.
function retagged(wanted: number, der: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(der);
  copy[0] = wanted;
  return copy;
}

/** The bit string without trailing zero bits (X.690 section 11.2.2). */
function encodeFlags({ named, unnamed }: FlagSet): Uint8Array {
  const bits = [...named.map((flag) => operationalFlags.indexOf(flag)), ...unnamed];
  if (bits.length === 0) return derBitString(new Uint8Array(0));
  const last = Math.max(...bits);
  const bytes = new Uint8Array((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return derBitString(bytes, 7 - (last & 7));
}

/** The content of a list of FWIDs. */
function encodeFwids(fwids: readonly Fwid[]): readonly Uint8Array[] {
  return fwids.map(({ algorithm, digest }) => derSequence(derOid(algorithm), derOctetString(digest)));
}
