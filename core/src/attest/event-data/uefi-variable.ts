// UEFI_VARIABLE_DATA (Platform Firmware Profile 1.06, section 10.2.6): the variable itself in EV_EFI_VARIABLE_DRIVER_CONFIG and
// EV_EFI_VARIABLE_BOOT, and in EV_EFI_VARIABLE_AUTHORITY the one entry of it that let an image run.
import { ByteReader } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { devicePathText } from './device-path.ts';
import { guidText, textOf, wideText } from './printable.ts';
import { signatureDataText, signatureListsText } from './signature-list.ts';

const NAME_UNITS_MAX = 256;

export interface UefiVariable {
  readonly vendor: string;
  readonly name: string;
  readonly data: Uint8Array;
  /** Of all, in bytes: what follows is not of the variable. */
  readonly length: number;
}

/** Throws CoreError for other data. */
export function parseUefiVariable(event: Uint8Array): UefiVariable {
  const reader = new ByteReader(event, 'UEFI variable');
  const vendor = guidText(reader.bytes(16));
  const units = reader.u64(true);
  const length = reader.u64(true);
  if (units > BigInt(NAME_UNITS_MAX)) throw new CoreError('bytes-too-long', `UEFI variable: a name of ${units} units`);
  const name = Buffer.from(reader.bytes(2 * Number(units))).toString('utf16le');
  const data = reader.bytes(Number(length));
  return { vendor, name, data, length: event.length - reader.remaining };
}

/** `SecureBoot: on`, `db: 2 certificates (…)`, `BootOrder: 0001, 0000`. */
export function variableText(event: Uint8Array): string {
  const { name, data } = parseUefiVariable(event);
  const value = valueText(name, data);
  return value === '' ? name : `${name}: ${value}`;
}

/** `authority db: Microsoft Corporation UEFI CA 2011`: the entry that verified an image, not the whole variable. */
export function authorityText(event: Uint8Array): string {
  const { name, data } = parseUefiVariable(event);
  if (name === 'SbatLevel')
    return `SbatLevel: ${(textOf(data.map((byte) => (byte === 0x0a ? 0x20 : byte))) ?? '').trim()}`;
  const text = textOf(data);
  return `authority ${name}: ${text ?? (data.length > 16 ? signatureDataText(data) : valueText(name, data))}`;
}

function valueText(name: string, data: Uint8Array): string {
  if (['SecureBoot', 'SetupMode', 'AuditMode', 'DeployedMode'].includes(name)) return flagText(data);
  if (name === 'BootOrder')
    return [
      ...Buffer.from(data)
        .toString('hex')
        .matchAll(/(..)(..)/g),
    ]
      .map(([, low, high]) => `${high}${low}`)
      .join(', ');
  if (/^Boot[0-9A-Fa-f]{4}$/.test(name)) return loadOptionText(data);
  if (['PK', 'KEK', 'db', 'dbx', 'dbr', 'dbt'].includes(name)) return signatureListsText(data);
  return textOf(data) ?? '';
}

function flagText(data: Uint8Array): string {
  return data.length === 0 ? 'absent' : data[0] === 1 ? 'on' : 'off';
}

// EFI_LOAD_OPTION (UEFI 2.10, section 3.1.3).
function loadOptionText(data: Uint8Array): string {
  const reader = new ByteReader(data, 'load option');
  reader.u32(true);
  const pathLength = reader.u16(true);
  let units = 0;
  const rest = reader.bytes(reader.remaining);
  while (2 * units + 1 < rest.length && (rest[2 * units] !== 0 || rest[2 * units + 1] !== 0)) units += 1;
  const name = wideText(rest.subarray(0, 2 * units)) ?? '';
  const path = devicePathText(rest.subarray(2 * units + 2, 2 * units + 2 + pathLength));
  return path === undefined ? name : `${name} (${path})`;
}
