// Event data as one line for people (Platform Firmware Profile 1.06, section 10.4): what was loaded from where, which variable has which
// value. The data is not covered by the digest for many types: it is shown, and never used for a decision.
import { ByteReader } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { devicePathText } from './device-path.ts';
import { guidText, hexOf, printableLine, textOf, wideText } from './printable.ts';
import { authorityText, variableText } from './uefi-variable.ts';

/**
 * Event data as one short line of printable ASCII. Quotes, backslashes, angle brackets and unprintable bytes are removed, so the line is safe
 * in a terminal, a log and HTML. Data that does not have the form of its type is shown as text or hex.
 */
export function describeEventData(eventType: number, event: Uint8Array): string {
  return printableLine(decoded(eventType, event) ?? textOf(event) ?? hexOf(event));
}

function decoded(eventType: number, event: Uint8Array): string | undefined {
  try {
    return decoders.get(eventType)?.(event);
  } catch (error) {
    // For people only: the caller shows the bytes.
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}

const decoders: ReadonlyMap<number, (event: Uint8Array) => string | undefined> = new Map([
  [0x03, noActionText],
  [0x04, separatorText],
  [0x06, tagText],
  [0x0d, loaderText],
  [0x80000001, variableText],
  [0x80000002, variableText],
  [0x8000000c, variableText],
  [0x80000003, imageText],
  [0x80000004, imageText],
  [0x80000005, imageText],
  [0x80000006, partitionTableText],
  [0x8000000d, partitionTableText],
  [0x80000008, blobText],
  [0x8000000a, namedBlobText],
  [0x800000e0, authorityText],
]);

const STARTUP_LOCALITY = 'StartupLocality\0';

function noActionText(event: Uint8Array): string | undefined {
  const text = Buffer.from(event.subarray(0, 16)).toString('latin1');
  if (text === 'Spec ID Event03\0') return 'header of a crypto-agile log';
  if (text === STARTUP_LOCALITY) return `the TPM was started from locality ${event[16] ?? 0}`;
  return undefined;
}

// Section 3.3.2.2: zeros or ones between the firmware and what it hands over to; 1 after an error.
function separatorText(event: Uint8Array): string | undefined {
  if (event.length !== 4) return undefined;
  if (event.every((byte) => byte === 0) || event.every((byte) => byte === 0xff)) return 'separator';
  return `separator after an error ${hexOf(event)}`;
}

const shimVariables: ReadonlyMap<string, string> = new Map([
  ['MokList', 'keys that the owner of the machine trusts'],
  ['MokListX', 'what the owner of the machine forbids'],
  ['MokSBState', 'whether shim verifies'],
  ['MokDBState', 'whether shim uses the keys of the firmware'],
  ['MokListTrusted', 'whether the kernel uses the keys of the owner'],
]);

// GRUB and systemd-stub write text; shim writes the name of what it measured.
function loaderText(event: Uint8Array): string | undefined {
  const text = textOf(event);
  const meaning = text === undefined ? undefined : shimVariables.get(text);
  if (meaning !== undefined) return `${text} of shim: ${meaning}`;
  return text !== undefined && event[1] === 0 && /^\.[a-z]+$/.test(text)
    ? `section ${text} of the unified image`
    : text;
}

const knownTags: ReadonlyMap<number, string> = new Map([
  [0x8f3b22ec, 'initrd that the kernel loaded'],
  [0x8f3b22ed, 'command line that the kernel was started with'],
  [0xf5bc582a, 'loader.conf of systemd-boot'],
  [0x6c46f751, 'device tree for the kernel'],
  [0x49dffe0f, 'additional initrd'],
  [0xdac08e1a, 'additional microcode'],
  [0x13aed6db, 'unified kernel image profile'],
]);

// TCG_PCClientTaggedEvent: the kernel's EFI stub and systemd-stub write such events.
function tagText(event: Uint8Array): string {
  const reader = new ByteReader(event, 'tagged event');
  const tag = reader.u32(true);
  const data = reader.bytes(Math.min(reader.u32(true), reader.remaining));
  const text = textOf(data) ?? hexOf(data);
  return `${knownTags.get(tag) ?? `tag 0x${tag.toString(16).padStart(8, '0')}`}${text === '' ? '' : ` (${text})`}`;
}

// UEFI_IMAGE_LOAD_EVENT. A loader that took the image from a file itself, as GRUB does with a kernel, passes no path.
function imageText(event: Uint8Array): string {
  const reader = new ByteReader(event, 'image load event');
  reader.u64(true);
  const size = reader.u64(true);
  reader.u64(true);
  const path = devicePathText(reader.bytes(Number(reader.u64(true))));
  return `${path ?? 'passed in memory by the loader (a kernel, as a rule)'}, ${size} bytes`;
}

// UEFI_GPT_DATA: the header of the table (UEFI 2.10, section 5.3.2), then the partitions in use.
function partitionTableText(event: Uint8Array): string {
  const reader = new ByteReader(event, 'partition table');
  const header = reader.bytes(92);
  const count = Number(reader.u64(true));
  const names: string[] = [];
  for (let index = 0; index < count && index < 128; index += 1)
    names.push(wideText(reader.bytes(128).subarray(56)) ?? '?');
  return `partitions of disk ${guidText(header.subarray(56, 72))}: ${names.join(', ')}`;
}

function blobText(event: Uint8Array): string | undefined {
  if (event.length !== 16) return undefined;
  const reader = new ByteReader(event, 'firmware');
  const base = reader.u64(true);
  return `firmware at 0x${base.toString(16)}, ${reader.u64(true)} bytes`;
}

function namedBlobText(event: Uint8Array): string {
  const reader = new ByteReader(event, 'firmware');
  const name = textOf(reader.bytes(reader.u8())) ?? '';
  const base = reader.u64(true);
  return `${name} firmware at 0x${base.toString(16)}, ${reader.u64(true)} bytes`.trim();
}
