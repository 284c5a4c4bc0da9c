// The Linux IMA runtime measurements log in its binary form (/sys/kernel/security/ima/binary_runtime_measurements; kernel documentation
// "IMA Template Management Mechanism"). Reads every template of the kernel, and templates that a device defines from the kernel's fields;
// integers are little-endian. The ASCII form is not read: a space in a file name makes it ambiguous. Format and limits: spec/event-log.md.
import { hash as digestOf } from 'node:crypto';
import { ByteReader, concat } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hashSize } from '../tpm/algorithm.ts';
import type { LogBank } from './event-log.ts';
import { type ImaField, imaFieldsOf } from './ima-template.ts';
import { extend } from './replay.ts';

/** A whole log, about half a million entries; evidence carries less of it (IMA_EVIDENCE_BYTES_MAX). */
export const IMA_LOG_BYTES_MAX = 64 * 1024 * 1024;
/** The part of a log that one piece of evidence carries, about 40,000 entries. */
export const IMA_EVIDENCE_BYTES_MAX = 4 * 1024 * 1024;
/**
 * The part of a log that a device sends at once, before evidence carries the rest. With short entries the agent's pieces are a quarter of
 * it.
 */
export const IMA_PIECE_BYTES_MAX = 1024 * 1024 + 64 * 1024;
/** One entry with signature, extended attributes or buffer. A longer one would not fit into a piece. */
const IMA_ENTRY_BYTES_MAX = 512 * 1024;
const PCR_COUNT = 24;
const TEMPLATE_NAME_LENGTH_MAX = 255; // MAX_TEMPLATE_NAME_LEN of the kernel
const SHA1_LENGTH = 20;
const FILE_NAME_PADDED = 256; // the `ima` template hashes the name padded to IMA_EVENT_NAME_LEN_MAX + 1

export interface ImaEntry {
  readonly index: number;
  readonly pcr: number;
  readonly template: string;
  /** For example, the file was open for writing while it was measured: the kernel logs zeros and extends ones. */
  readonly violation: boolean;
  /** What the kernel hashes for the template digest. */
  readonly templateData: Uint8Array;
  readonly fileDigest: { readonly algorithm: string; readonly digest: Uint8Array };
  /** What a file has in `security.ima`; empty for one without signature. Undefined where the template has no such field. */
  readonly signature?: Uint8Array | undefined;
  /** The measured content that is not a file's. */
  readonly buffer?: Uint8Array | undefined;
  /** For people: Linux allows any bytes in a name; bytes that are not UTF-8 are replaced. */
  readonly fileName: string;
}

/** Parses a whole log; throws `ima-log-invalid`, `bytes-truncated` or `bytes-too-long`. Each entry's SHA-1 template digest is verified. */
export function parseImaLog(bytes: Uint8Array, firstIndex = 0): readonly ImaEntry[] {
  if (bytes.length > IMA_LOG_BYTES_MAX) {
    throw new CoreError('bytes-too-long', `IMA log: ${bytes.length} bytes, at most ${IMA_LOG_BYTES_MAX} are allowed`);
  }
  const reader = new ByteReader(bytes, 'IMA log');
  const entries: ImaEntry[] = [];
  while (reader.remaining > 0) entries.push(parseEntry(reader, firstIndex + entries.length));
  return entries;
}

/** Where each whole entry of `bytes` ends, in order; an incomplete last one is left out. Only lengths are read. */
export function imaEntryEnds(bytes: Uint8Array): readonly number[] {
  const reader = new ByteReader(bytes, 'IMA log');
  const ends: number[] = [];
  try {
    while (reader.remaining > 0) {
      readRecord(reader, ends.length);
      ends.push(reader.offset);
    }
  } catch (error) {
    if (!(error instanceof CoreError) || error.code !== 'bytes-truncated') throw error;
  }
  return ends;
}

interface Record {
  readonly pcr: number;
  readonly templateDigest: Uint8Array;
  readonly template: string;
  /** Of the `ima` template, which has no length field: digest, and name without its terminator. */
  readonly data: Uint8Array;
}

function readRecord(reader: ByteReader, index: number): Record {
  const pcr = reader.u32(true);
  if (pcr >= PCR_COUNT) throw invalid(index, `it is for PCR ${pcr}, at most ${PCR_COUNT - 1} is allowed`);
  const templateDigest = reader.bytes(SHA1_LENGTH);
  const nameLength = reader.u32(true);
  if (nameLength > TEMPLATE_NAME_LENGTH_MAX) throw invalid(index, `its template name has ${nameLength} bytes`);
  const template = Buffer.from(reader.bytes(nameLength)).toString('latin1');
  if (template === 'ima') return { pcr, templateDigest, template, data: readOldTemplate(reader, index) };
  const length = reader.u32(true);
  if (length > IMA_ENTRY_BYTES_MAX) {
    throw invalid(index, `its template data has ${length} bytes, at most ${IMA_ENTRY_BYTES_MAX} are allowed`);
  }
  return { pcr, templateDigest, template, data: reader.bytes(length) };
}

// The oldest template: a bare SHA-1, then a sized name without its terminator.
function readOldTemplate(reader: ByteReader, index: number): Uint8Array {
  const digest = reader.bytes(SHA1_LENGTH);
  const length = reader.u32(true);
  if (length >= FILE_NAME_PADDED) throw invalid(index, `its file name has ${length} bytes`);
  return concat(digest, reader.bytes(length));
}

function parseEntry(reader: ByteReader, index: number): ImaEntry {
  const { pcr, templateDigest, template, data } = readRecord(reader, index);
  const violation = templateDigest.every((byte) => byte === 0);
  const parsed = template === 'ima' ? oldTemplate(data, index) : parseFields(template, data, index);
  if (!violation && Buffer.compare(digestOf('sha1', parsed.templateData, 'buffer'), templateDigest) !== 0) {
    throw invalid(index, 'its template digest is not the SHA-1 of its template data');
  }
  return { index, pcr, template, violation, ...parsed };
}

type Content = Pick<ImaEntry, 'templateData' | 'fileDigest' | 'fileName' | 'signature' | 'buffer'>;

function oldTemplate(data: Uint8Array, index: number): Content {
  const templateData = concat(data, new Uint8Array(FILE_NAME_PADDED + SHA1_LENGTH - data.length));
  const digest = data.subarray(0, SHA1_LENGTH);
  return {
    templateData,
    fileDigest: { algorithm: 'sha1', digest },
    fileName: text(data.subarray(SHA1_LENGTH), index),
  };
}

// Fields follow one another, each after its length; unneeded fields are skipped by it.
function parseFields(template: string, templateData: Uint8Array, index: number): Content {
  const fields = imaFieldsOf(template);
  if (fields === undefined) {
    throw invalid(
      index,
      `its template ${JSON.stringify(template)} is none of the kernel's, and has no list of its fields`,
    );
  }
  const reader = new ByteReader(templateData, `IMA log entry ${index}`);
  let fileDigest: ImaEntry['fileDigest'] = { algorithm: 'unknown', digest: new Uint8Array(0) };
  let fileName = '';
  let signature: Uint8Array | undefined;
  let buffer: Uint8Array | undefined;
  for (const field of fields) {
    const bytes = reader.bytes(reader.u32(true));
    if (field === 'n' || field === 'n-ng') fileName = terminated(bytes, index);
    else if (field === 'sig') signature = bytes;
    else if (field === 'buf') buffer = bytes;
    else if (isDigest(field)) fileDigest = parseFileDigest(field, bytes, index);
  }
  reader.end();
  return { templateData, fileDigest, fileName, signature, buffer };
}

function isDigest(field: ImaField): field is 'd' | 'd-ng' | 'd-ngv2' {
  return field === 'd' || field === 'd-ng' || field === 'd-ngv2';
}

// `d` is a bare digest; `d-ng` is "algorithm:" NUL digest; `d-ngv2` has the kind of digest, "ima:" or "verity:", before it.
function parseFileDigest(field: 'd' | 'd-ng' | 'd-ngv2', bytes: Uint8Array, index: number): ImaEntry['fileDigest'] {
  if (field === 'd') return { algorithm: 'sha1', digest: bytes };
  const end = bytes.indexOf(0);
  const name = Buffer.from(bytes.subarray(0, Math.max(end, 0))).toString('latin1');
  const pattern = field === 'd-ng' ? /^([a-z0-9-]{1,16}):$/ : /^(?:ima|verity):([a-z0-9-]{1,16}):$/;
  const [, algorithm] = pattern.exec(name) ?? [];
  if (algorithm === undefined) throw invalid(index, 'its file digest names no algorithm');
  return { algorithm, digest: bytes.subarray(end + 1) };
}

function terminated(bytes: Uint8Array, index: number): string {
  if (bytes.at(-1) !== 0) throw invalid(index, 'its file name is not terminated');
  return text(bytes.subarray(0, -1), index);
}

function text(bytes: Uint8Array, index: number): string {
  if (bytes.includes(0)) throw invalid(index, 'its file name holds a zero byte');
  return Buffer.from(bytes).toString('utf8');
}

/**
 * The PCR values after `entries` extended `start` (usually PCR 10 at zeros). The digest extended is the bank's hash of the template data,
 * as kernels since 5.8 do; a violation extends all ones.
 */
export function replayImaLog(
  entries: readonly ImaEntry[],
  bank: LogBank,
  start: ReadonlyMap<number, Uint8Array> = new Map(),
): ReadonlyMap<number, Uint8Array> {
  const values = new Map(start);
  for (const entry of entries) values.set(entry.pcr, extended(entry, bank, values.get(entry.pcr)));
  return values;
}

/**
 * Every value that `pcr` had while `entries` extended it, `start` first: a log that is read after the quote may be longer than the quoted
 * one. Throws `ima-log-invalid` for an entry of another PCR: it could replace a boot event there, without the reference values noticing.
 */
export function imaPcrValues(
  entries: readonly ImaEntry[],
  bank: LogBank,
  pcr: number,
  start: Uint8Array,
): readonly Uint8Array[] {
  const values = [start];
  let last = start;
  for (const entry of entries) {
    if (entry.pcr !== pcr) throw invalid(entry.index, `it is for PCR ${entry.pcr}, expected ${pcr}`);
    last = extended(entry, bank, last);
    values.push(last);
  }
  return values;
}

function extended({ violation, templateData }: ImaEntry, bank: LogBank, old: Uint8Array | undefined): Uint8Array {
  const length = hashSize(bank);
  const digest = violation ? new Uint8Array(length).fill(0xff) : digestOf(bank, templateData, 'buffer');
  return extend(bank, old ?? new Uint8Array(length), digest);
}

function invalid(index: number, problem: string): CoreError {
  return new CoreError('ima-log-invalid', `IMA log entry ${index}: ${problem}`);
}
