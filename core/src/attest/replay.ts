// Replays one bank of a boot log to the PCR values that it claims (TPM 2.0 Part 1, section 17; PC Client Platform TPM Profile 4.6.2). Only
// the quoted bank is replayed: replaying all three costs three times as much and proves nothing more.
import { createHash } from 'node:crypto';
import { utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { hashSize } from '../tpm/algorithm.ts';
import type { EventLog, LogBank, LoggedEvent } from './event-log.ts';
import { eventTypeName, eventTypes } from './event-type.ts';

/** An event that extended its PCR, with the digest of the replayed bank. */
export interface ExtendedEvent {
  readonly index: number;
  readonly pcr: number;
  readonly eventType: number;
  readonly digest: Uint8Array;
  readonly event: Uint8Array;
}

export interface ReplayedLog {
  readonly bank: LogBank;
  /** The values of the PCRs the log touches; `pcrValue` gives the others too. */
  readonly values: ReadonlyMap<number, Uint8Array>;
  readonly events: readonly ExtendedEvent[];
  /** The last octet that PCR 0 began with: from where the TPM was started; 4 with a hardware root that measured before the CPU ran. */
  readonly startupLocality: number;
}

/** A bank in the header that cannot be replayed, because an event that extends has no digest in it. */
export interface BankGap {
  readonly bank: LogBank;
  /** The first such event. */
  readonly index: number;
  readonly type: string;
}

/** Replays every bank of the log: some firmware logs events without a bank of its header, and the others still replay. */
export function replayBanks(log: EventLog): {
  readonly replayed: readonly ReplayedLog[];
  readonly gaps: readonly BankGap[];
} {
  const gaps = log.banks.map((bank) => gapOf(log, bank)).filter((gap) => gap !== undefined);
  const whole = log.banks.filter((bank) => gaps.every((gap) => gap.bank !== bank));
  return { replayed: whole.map((bank) => replayEventLog(log, bank)), gaps };
}

function gapOf({ events }: EventLog, bank: LogBank): BankGap | undefined {
  const lacking = events.find(
    ({ eventType, digests }) => eventType !== eventTypes.noAction && digests[bank] === undefined,
  );
  return lacking && { bank, index: lacking.index, type: eventTypeName(lacking.eventType) };
}

/** Replays `log`. Throws `event-log-invalid` when the log does not have the bank, or an event that extends has no digest in it. */
export function replayEventLog(log: EventLog, bank: LogBank): ReplayedLog {
  if (!log.banks.includes(bank)) {
    throw new CoreError(
      'event-log-invalid',
      `event log: it has no ${bank} bank, only ${log.banks.join(', ') || 'unknown ones'}`,
    );
  }
  const values = new Map<number, Uint8Array>();
  const events: ExtendedEvent[] = [];
  let startupLocality = 0;
  for (const logged of log.events) {
    if (logged.eventType === eventTypes.noAction) {
      const start = startOfPcr0(logged, values);
      if (start === undefined) continue;
      startupLocality = start;
      values.set(0, startAt(start, bank));
      continue;
    }
    const digest = logged.digests[bank];
    if (digest === undefined) {
      throw new CoreError(
        'event-log-invalid',
        `event log: event ${logged.index} (${eventTypeName(logged.eventType)}) has no ${bank} digest`,
      );
    }
    const { index, pcr, eventType, event } = logged;
    if (pcr === 0 && eventType === HARDWARE_CRTM && !events.some((earlier) => earlier.pcr === 0)) {
      startupLocality = HARDWARE_CRTM_LOCALITY;
      values.set(0, startAt(startupLocality, bank));
    }
    values.set(pcr, extend(bank, values.get(pcr) ?? new Uint8Array(hashSize(bank)), digest));
    events.push({ index, pcr, eventType, digest, event });
  }
  return { bank, values, events, startupLocality };
}

/** New PCR value = H(old || digest). */
export function extend(bank: LogBank, old: Uint8Array, digest: Uint8Array): Uint8Array {
  return createHash(bank).update(old).update(digest).digest();
}

/** The value of `pcr` after the boot in the log: the replayed value, or the reset value when nothing was measured there. */
export function pcrValue(replayed: ReplayedLog, pcr: number): Uint8Array {
  return replayed.values.get(pcr) ?? resetValue(pcr, replayed.bank);
}

// PCRs 17 to 22 belong to a dynamic launch: all ones until one happens, and the launch sets them to zeros before it measures.
function resetValue(pcr: number, bank: LogBank): Uint8Array {
  return new Uint8Array(hashSize(bank)).fill(pcr >= 17 && pcr <= 22 ? 0xff : 0);
}

const STARTUP_LOCALITY = utf8('StartupLocality\0');
const LOCALITY_MAX = 4;
/** EV_EFI_HCRTM_EVENT: a hardware root measured before the CPU started, and PCR 0 begins at 4 (TPM 2.0 Part 1, 34.3). */
const HARDWARE_CRTM = 0x80000010;
const HARDWARE_CRTM_LOCALITY = 4;

// Platform Firmware Profile 10.4.5.3: the locality of TPM2_Startup is the last octet PCR 0 starts with. It must be logged before PCR 0 is
// extended and only once, or the log could be read in two ways.
function startOfPcr0(logged: LoggedEvent, values: ReadonlyMap<number, Uint8Array>): number | undefined {
  const { event, index, pcr } = logged;
  if (pcr !== 0 || event.length < STARTUP_LOCALITY.length) return undefined;
  if (Buffer.compare(event.subarray(0, STARTUP_LOCALITY.length), STARTUP_LOCALITY) !== 0) return undefined;
  const locality = event[STARTUP_LOCALITY.length];
  if (event.length !== STARTUP_LOCALITY.length + 1 || locality === undefined || locality > LOCALITY_MAX) {
    throw new CoreError(
      'event-log-invalid',
      `event log: event ${index} is a StartupLocality without a locality of 0 to ${LOCALITY_MAX}`,
    );
  }
  if (values.has(0)) {
    throw new CoreError('event-log-invalid', `event log: event ${index} gives PCR 0 a start after it was started`);
  }
  return locality;
}

function startAt(locality: number, bank: LogBank): Uint8Array {
  const start = new Uint8Array(hashSize(bank));
  start[start.length - 1] = locality;
  return start;
}
