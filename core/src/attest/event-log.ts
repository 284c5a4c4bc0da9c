// The TCG boot event log: TCG PC Client Platform Firmware Profile 1.06, section 10 (TCG_PCR_EVENT of the SHA-1 era, TCG_PCR_EVENT2 after a
// TCG_EfiSpecIDEvent header). All integers are little-endian. The log is untrusted: it proves something only once its replay equals quoted
// PCRs, and even then event *data* is not covered by the digest for many types. Format and limits: spec/event-log.md.
import { ByteReader, concat, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { findHash, hashId, hashSize, type TpmHash } from '../tpm/algorithm.ts';
import { eventTypeName, eventTypes } from './event-type.ts';

export const EVENT_LOG_BYTES_MAX = 1024 * 1024; // real logs are 20 to 200 KiB
const PCR_COUNT = 24;
const PCR_NONE = 0xffffffff; // some firmware logs EV_NO_ACTION records for no PCR at all
const ALGORITHMS_MAX = 8; // more banks than any TPM has
const DIGEST_LENGTH_MAX = 64;

export type LogBank = TpmHash;

export type EventDigests = { readonly [bank in LogBank]?: Uint8Array };

export interface LoggedEvent {
  /** Position in the log, counted from 0 with the header, as tpm2_eventlog counts. */
  readonly index: number;
  readonly pcr: number;
  readonly eventType: number;
  /** Digests of banks this product does not know are left out. */
  readonly digests: EventDigests;
  readonly event: Uint8Array;
}

export interface EventLog {
  readonly format: 'sha1' | 'crypto-agile';
  /** The banks that the log covers. */
  readonly banks: readonly LogBank[];
  readonly events: readonly LoggedEvent[];
}

/**
 * Parses a log in either format; the slices in the result are views of `bytes`. Padding with zeros or with 0xff after the last event is
 * allowed, nothing else is. Throws `event-log-invalid`, `bytes-truncated` or `bytes-too-long`.
 */
export function parseEventLog(bytes: Uint8Array): EventLog {
  if (bytes.length > EVENT_LOG_BYTES_MAX) {
    throw new CoreError(
      'bytes-too-long',
      `event log: ${bytes.length} bytes, at most ${EVENT_LOG_BYTES_MAX} are allowed`,
    );
  }
  // Logs of containers and tables of firmware are padded, with zeros or, as in the ACPI table CCEL, with ones.
  const end = Math.min(lastOtherThan(bytes, 0x00), lastOtherThan(bytes, 0xff));
  if (end === -1) throw invalid('it holds no event');
  const reader = new ByteReader(bytes, 'event log');
  const first = parseSha1Event(reader, 0);
  const algorithms = first.eventType === eventTypes.noAction ? parseSpecId(first.event) : undefined;
  const events = [first];
  // Everything after the last byte that differs from the padding is padding: no real record is all zeros or all ones.
  while (reader.offset <= end) {
    const index = events.length;
    events.push(algorithms === undefined ? parseSha1Event(reader, index) : parseEvent2(reader, index, algorithms));
  }
  if (algorithms === undefined) return { format: 'sha1', banks: ['sha1'], events };
  const spoken = [...algorithms.keys()].map(findHash).filter((bank) => bank !== undefined);
  return { format: 'crypto-agile', banks: spoken, events: [{ ...first, digests: {} }, ...events.slice(1)] };
}

function lastOtherThan(bytes: Uint8Array, padding: number): number {
  return bytes.findLastIndex((byte) => byte !== padding);
}

function parseSha1Event(reader: ByteReader, index: number): LoggedEvent {
  const { pcr, eventType } = parseEventStart(reader, index);
  const digest = reader.bytes(20);
  return { index, pcr, eventType, digests: { sha1: digest }, event: reader.bytes(reader.u32(true)) };
}

function parseEvent2(reader: ByteReader, index: number, algorithms: ReadonlyMap<number, number>): LoggedEvent {
  const { pcr, eventType } = parseEventStart(reader, index);
  const count = reader.u32(true);
  if (count < 1 || count > algorithms.size) {
    throw invalid(`event ${index} has ${count} digests, its header names ${algorithms.size} algorithms`);
  }
  const seen = new Set<number>();
  const digests: { [bank in LogBank]?: Uint8Array } = {};
  for (let digestIndex = 0; digestIndex < count; digestIndex += 1) {
    const algorithm = reader.u16(true);
    const length = algorithms.get(algorithm);
    if (length === undefined)
      throw invalid(`event ${index} has a digest of algorithm ${algorithm}, which its header does not name`);
    if (seen.has(algorithm)) throw invalid(`event ${index} has two digests of algorithm ${algorithm}`);
    seen.add(algorithm);
    const digest = reader.bytes(length);
    const bank = findHash(algorithm);
    if (bank !== undefined) digests[bank] = digest;
  }
  return { index, pcr, eventType, digests, event: reader.bytes(reader.u32(true)) };
}

function parseEventStart(reader: ByteReader, index: number): { readonly pcr: number; readonly eventType: number } {
  const pcr = reader.u32(true);
  const eventType = reader.u32(true);
  if (pcr >= PCR_COUNT && !(pcr === PCR_NONE && eventType === eventTypes.noAction)) {
    throw invalid(
      `event ${index} (${eventTypeName(eventType)}) is for PCR ${pcr}, at most ${PCR_COUNT - 1} is allowed`,
    );
  }
  return { pcr, eventType };
}

const SPEC_ID_SIGNATURE = utf8('Spec ID Event03\0');

// TCG_EfiSpecIDEvent. A first EV_NO_ACTION record with another signature is an ordinary record of a SHA-1 log.
function parseSpecId(event: Uint8Array): ReadonlyMap<number, number> | undefined {
  if (event.length < SPEC_ID_SIGNATURE.length || Buffer.compare(event.subarray(0, 16), SPEC_ID_SIGNATURE) !== 0)
    return undefined;
  const reader = new ByteReader(event, 'event log header');
  reader.bytes(16 + 4 + 4); // signature; platform class; version minor, major, errata, width of UINTN
  const count = reader.u32(true);
  if (count < 1 || count > ALGORITHMS_MAX)
    throw invalid(`its header names ${count} algorithms, 1 to ${ALGORITHMS_MAX} are allowed`);
  const lengths = new Map<number, number>();
  for (let index = 0; index < count; index += 1) {
    const algorithm = reader.u16(true);
    const length = reader.u16(true);
    const bank = findHash(algorithm);
    if (length < 1 || length > DIGEST_LENGTH_MAX || (bank !== undefined && hashSize(bank) !== length)) {
      throw invalid(`its header gives algorithm ${algorithm} digests of ${length} bytes`);
    }
    if (lengths.has(algorithm)) throw invalid(`its header names algorithm ${algorithm} twice`);
    lengths.set(algorithm, length);
  }
  reader.bytes(reader.u8()); // vendor information
  reader.end();
  return lengths;
}

/** The header record that opens a crypto-agile log for these banks. */
export function encodeEventLogHeader(named: readonly LogBank[] = ['sha256']): Uint8Array {
  const algorithms = named.flatMap((bank) => [u16(hashId(bank)), u16(hashSize(bank))]);
  const version = Uint8Array.of(0, 2, 106, 2); // minor, major, errata of the profile; UINTN of 8 bytes
  const specId = concat(SPEC_ID_SIGNATURE, u32(0), version, u32(named.length), ...algorithms, Uint8Array.of(0));
  return encodeSha1Event({ pcr: 0, eventType: eventTypes.noAction, digest: new Uint8Array(20), event: specId });
}

export interface EventToEncode {
  readonly pcr: number;
  readonly eventType: number;
  readonly digest: Uint8Array;
  readonly event: Uint8Array;
}

/** One record of a crypto-agile log whose header names the sha256 bank alone: append it to `encodeEventLogHeader()`. `digest` has 32 bytes. */
export function encodeEvent({ pcr, eventType, digest, event }: EventToEncode): Uint8Array {
  return encodeEventOfBanks({ pcr, eventType, digests: { sha256: digest }, event });
}

const banks: readonly LogBank[] = ['sha1', 'sha256', 'sha384', 'sha512'];

/** One record of a crypto-agile log with a digest for each bank given; the header must name the same banks. */
export function encodeEventOfBanks(record: Omit<LoggedEvent, 'index'>): Uint8Array {
  const digests: Uint8Array[] = [];
  for (const bank of banks) {
    const digest = record.digests[bank];
    if (digest === undefined) continue;
    if (digest.length !== hashSize(bank)) throw invalid(`a ${bank} digest of ${digest.length} bytes`);
    digests.push(concat(u16(hashId(bank)), digest));
  }
  const start = concat(u32(record.pcr), u32(record.eventType), u32(digests.length));
  return concat(start, ...digests, u32(record.event.length), record.event);
}

/** One record of a SHA-1 log. `digest` has 20 bytes. */
export function encodeSha1Event({ pcr, eventType, digest, event }: EventToEncode): Uint8Array {
  if (digest.length !== 20) throw invalid(`a sha1 digest of ${digest.length} bytes`);
  return concat(u32(pcr), u32(eventType), digest, u32(event.length), event);
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}

function invalid(problem: string): CoreError {
  return new CoreError('event-log-invalid', `event log: ${problem}`);
}
