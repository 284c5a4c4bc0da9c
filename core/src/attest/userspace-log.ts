// What systemd measures after the kernel has started, behind the end of the firmware's log: boot phases, machine id, file systems
// (spec/event-log.md, "After the kernel has started"). Since version 255 it writes down what, /run/log/systemd/tpm2-measure.log: records of the
// TCG's Canonical Event Log in JSON, each after an ASCII record separator (RFC 7464).
import { z } from 'zod';
import { concat, equalBytes, parseHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { bootPhases, UNIFIED_IMAGE_PCR } from './boot-phase.ts';
import { encodeEventOfBanks, type EventLog, parseEventLog } from './event-log.ts';
import { eventTypes } from './event-type.ts';
import { extend, pcrValue, type ReplayedLog, replayEventLog } from './replay.ts';

/** A boot writes some ten records of 300 bytes. */
export const USERSPACE_LOG_BYTES_MAX = 1024 * 1024;

/** One measurement into a PCR. */
export interface UserspaceRecord {
  readonly pcr: number;
  /** SHA-256 bank. */
  readonly digest: Uint8Array;
  /** For people; no digest covers it. */
  readonly text: string;
}

const recordSchema = z.object({
  /** Left out by a record of an NV index. */
  pcr: z.int().min(0).max(23).optional(),
  digests: z.array(z.object({ hashAlg: z.string(), digest: z.string() })),
  content: z.object({ string: z.string().optional(), eventType: z.string().optional() }).optional(),
});

const RECORD_SEPARATOR = '\u001e';

/** The measurements into PCRs, in order; a last record that is not complete yet is left out. Throws `event-log-invalid` or `bytes-too-long`. */
export function parseUserspaceLog(bytes: Uint8Array): readonly UserspaceRecord[] {
  if (bytes.length > USERSPACE_LOG_BYTES_MAX) {
    const limit = `at most ${USERSPACE_LOG_BYTES_MAX} are allowed`;
    throw new CoreError('bytes-too-long', `log of systemd: ${bytes.length} bytes, ${limit}`);
  }
  const text = Buffer.from(bytes).toString('utf8');
  const whole = text.endsWith('\n') ? text : text.slice(0, Math.max(text.lastIndexOf(RECORD_SEPARATOR), 0));
  const records = whole.split(RECORD_SEPARATOR).filter((record) => record.trim() !== '');
  return records.flatMap((record) => {
    const { pcr, digests, content } = parseJson(utf8(record), recordSchema, 'log of systemd');
    if (pcr === undefined) return [];
    const digest = digests.find(({ hashAlg }) => hashAlg === 'sha256')?.digest;
    if (digest?.length !== 64) {
      throw new CoreError('event-log-invalid', `log of systemd: a record of PCR ${pcr} without a sha256 digest`);
    }
    const what = content?.string ?? content?.eventType ?? '';
    return [{ pcr, digest: parseHex(digest, 'digest of systemd'), text: what }];
  });
}

/**
 * The phases that explain the value of PCR 11, where systemd keeps no log: those that follow one another and lead from the value that `log`
 * replays to `value`. Undefined when none do.
 */
export function phasesBetween(log: ReplayedLog, value: Uint8Array): readonly UserspaceRecord[] | undefined {
  const start = pcrValue(log, UNIFIED_IMAGE_PCR);
  if (equalBytes(start, value)) return [];
  for (let first = 0; first < bootPhases.length; first += 1) {
    let reached = start;
    const run: UserspaceRecord[] = [];
    for (const { name, digest } of bootPhases.slice(first)) {
      reached = extend('sha256', reached, digest);
      run.push({ pcr: UNIFIED_IMAGE_PCR, digest, text: name });
      if (equalBytes(reached, value)) return run;
    }
  }
  return undefined;
}

/** The beginnings of `records`, longest first: the log is read after a quote, and may be longer than what was quoted. */
export function* beginningsOf(records: readonly UserspaceRecord[]): Generator<readonly UserspaceRecord[]> {
  for (let count = records.length; count >= 0; count -= 1) yield records.slice(0, count);
}

/** The boot log with these records behind it, as EV_IPL events. */
export function withUserspaceRecords(log: Uint8Array, records: readonly UserspaceRecord[]): Uint8Array {
  if (records.length === 0) return log;
  const { banks } = parseEventLog(log);
  const events = records.map(({ pcr, digest, text }) => encodeRecord(banks, pcr, digest, `systemd: ${text}`));
  return concat(log, ...events);
}

// A log names its banks once; this bank is the only one that is quoted.
function encodeRecord(banks: EventLog['banks'], pcr: number, digest: Uint8Array, text: string): Uint8Array {
  if (!banks.includes('sha256')) throw new CoreError('event-log-invalid', 'event log: it has no sha256 bank');
  return encodeEventOfBanks({ pcr, eventType: eventTypes.ipl, digests: { sha256: digest }, event: utf8(text) });
}

/** The values of the PCRs after the log and the records. */
export function valuesAfter(log: ReplayedLog, records: readonly UserspaceRecord[]): (pcr: number) => Uint8Array {
  const values = new Map<number, Uint8Array>();
  for (const { pcr, digest } of records) {
    values.set(pcr, extend('sha256', values.get(pcr) ?? pcrValue(log, pcr), digest));
  }
  return (pcr) => values.get(pcr) ?? pcrValue(log, pcr);
}

export function replayedBootLog(bytes: Uint8Array): ReplayedLog {
  return replayEventLog(parseEventLog(bytes), 'sha256');
}
