// The Linux IMA runtime measurements log in its binary form (/sys/kernel/security/ima/binary_runtime_measurements; kernel documentation
// "IMA Template Management Mechanism"), templates ima, ima-ng, ima-sig and ima-buf; integers little-endian. The ASCII form is not read:
// a space in a file name makes it ambiguous. Format and limits: spec/event-log.md.
import { createHash } from 'node:crypto';
import { ByteReader, concat, parseUtf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hashSize } from '../tpm/algorithm.ts';
import type { LogBank } from './event-log.ts';
import { extend } from './replay.ts';

export const IMA_LOG_BYTES_MAX = 4 * 1024 * 1024; // about 40,000 files
const PCR_COUNT = 24;
const TEMPLATE_NAME_LENGTH_MAX = 32;
const SHA1_LENGTH = 20;
const FILE_NAME_PADDED = 256; // the `ima` template hashes the name padded to IMA_EVENT_NAME_LEN_MAX + 1

export interface ImaEntry {
  readonly index: number;
  readonly pcr: number;
  readonly template: 'ima' | 'ima-ng' | 'ima-sig' | 'ima-buf';
  /** The file was open for writing while it was measured, or the like: the kernel logs zeros and extends ones. */
  readonly violation: boolean;
  /** What the kernel hashes for the template digest. */
  readonly templateData: Uint8Array;
  readonly fileDigest: { readonly algorithm: string; readonly digest: Uint8Array };
  readonly fileName: string;
}

/** Parses a whole log; throws `ima-log-invalid`, `bytes-truncated` or `bytes-too-long`. Each entry's SHA-1 template digest is verified. */
export function parseImaLog(bytes: Uint8Array): readonly ImaEntry[] {
  if (bytes.length > IMA_LOG_BYTES_MAX) {
    throw new CoreError('bytes-too-long', `IMA log: ${bytes.length} bytes, at most ${IMA_LOG_BYTES_MAX} are allowed`);
  }
  const reader = new ByteReader(bytes, 'IMA log');
  const entries: ImaEntry[] = [];
  while (reader.remaining > 0) entries.push(parseEntry(reader, entries.length));
  return entries;
}

function parseEntry(reader: ByteReader, index: number): ImaEntry {
  const pcr = reader.u32(true);
  if (pcr >= PCR_COUNT) throw invalid(index, `it is for PCR ${pcr}, at most ${PCR_COUNT - 1} is allowed`);
  const templateDigest = reader.bytes(SHA1_LENGTH);
  const nameLength = reader.u32(true);
  if (nameLength > TEMPLATE_NAME_LENGTH_MAX) throw invalid(index, `its template name has ${nameLength} bytes`);
  const template = Buffer.from(reader.bytes(nameLength)).toString('latin1');
  const violation = templateDigest.every((byte) => byte === 0);
  const parsed = parseTemplate(reader, index, template);
  if (!violation && Buffer.compare(createHash('sha1').update(parsed.templateData).digest(), templateDigest) !== 0) {
    throw invalid(index, 'its template digest is not the SHA-1 of its template data');
  }
  return { index, pcr, violation, ...parsed };
}

type Template = Pick<ImaEntry, 'template' | 'templateData' | 'fileDigest' | 'fileName'>;

function parseTemplate(reader: ByteReader, index: number, template: string): Template {
  switch (template) {
    case 'ima':
      return parseOldTemplate(reader, index);
    case 'ima-ng':
      return parseNewTemplate(reader, index, template, 2);
    case 'ima-sig':
    case 'ima-buf':
      return parseNewTemplate(reader, index, template, 3);
    default:
      throw invalid(index, `its template is ${JSON.stringify(template)}; known are ima, ima-ng, ima-sig and ima-buf`);
  }
}

// The oldest template has no length of its own: a bare SHA-1, then a sized name without its terminator.
function parseOldTemplate(reader: ByteReader, index: number): Template {
  const digest = reader.bytes(SHA1_LENGTH);
  const length = reader.u32(true);
  if (length >= FILE_NAME_PADDED) throw invalid(index, `its file name has ${length} bytes`);
  const name = reader.bytes(length);
  const templateData = concat(digest, name, new Uint8Array(FILE_NAME_PADDED - length));
  return { template: 'ima', templateData, fileDigest: { algorithm: 'sha1', digest }, fileName: text(name, index) };
}

function parseNewTemplate(
  reader: ByteReader,
  index: number,
  template: Exclude<ImaEntry['template'], 'ima'>,
  fieldCount: number,
): Template {
  const templateData = reader.bytes(reader.u32(true));
  const fields = new ByteReader(templateData, `IMA log entry ${index}`);
  const digestField = fields.bytes(fields.u32(true));
  const nameField = fields.bytes(fields.u32(true));
  for (let field = 2; field < fieldCount; field += 1) fields.bytes(fields.u32(true)); // signature or buffer
  fields.end();
  if (nameField.at(-1) !== 0) throw invalid(index, 'its file name is not terminated');
  const fileName = text(nameField.subarray(0, -1), index);
  return { template, templateData, fileDigest: parseFileDigest(digestField, index), fileName };
}

// "algorithm:" NUL digest
function parseFileDigest(field: Uint8Array, index: number): ImaEntry['fileDigest'] {
  const colon = field.indexOf(0x3a);
  const algorithm = Buffer.from(field.subarray(0, Math.max(colon, 0))).toString('latin1');
  if (!/^[a-z0-9-]{1,16}$/.test(algorithm) || field[colon + 1] !== 0)
    throw invalid(index, 'its file digest names no algorithm');
  return { algorithm, digest: field.subarray(colon + 2) };
}

function text(bytes: Uint8Array, index: number): string {
  if (bytes.includes(0)) throw invalid(index, 'its file name holds a zero byte');
  return parseUtf8(bytes, `IMA log entry ${index}`);
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
  for (const { pcr, violation, templateData } of entries) {
    const length = hashSize(bank);
    const digest = violation ? new Uint8Array(length).fill(0xff) : createHash(bank).update(templateData).digest();
    values.set(pcr, extend(bank, values.get(pcr) ?? new Uint8Array(length), digest));
  }
  return values;
}

function invalid(index: number, problem: string): CoreError {
  return new CoreError('ima-log-invalid', `IMA log entry ${index}: ${problem}`);
}
