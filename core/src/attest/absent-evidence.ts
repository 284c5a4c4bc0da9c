// Tells evidence that is missing from evidence that is wrong: a device without a log has not lied, and its operator needs another answer
// than that of one whose log was changed. Neither is accepted.
import type { ExtendedEvent } from './replay.ts';
import type { Reason, ReasonCode } from './reason.ts';
import { IMA_PCR } from './reference-values.ts';

/** Firmware measures into each of PCR 0 to 7 at every boot, a separator at least. */
const FIRMWARE_PCR_MAX = 7;

export const firmwareLogMissingText =
  'no firmware event log: its Secure Boot is probably off, GRUB then boots without the EFI stub of the kernel, which keeps the log. Turn Secure Boot on, or boot a unified kernel image';

export const firmwareLogEmptyText =
  'the firmware event log has no event of the firmware: it kept none for the operating system, or the file is a copy that was made too early. Update the firmware, or copy the log again when the machine starts';

/** Whether a log has no event of a firmware. */
export function isWithoutFirmware(events: readonly Pick<ExtendedEvent, 'pcr'>[]): boolean {
  return events.every(({ pcr }) => pcr > FIRMWARE_PCR_MAX);
}

/** Reasons that are found only by reading the logs. */
export const logReasons: ReadonlySet<ReasonCode> = new Set([
  'pcr-digest-mismatch',
  'firmware-log-missing',
  'ima-log-missing',
]);

/** The evidence is this device's own and fresh, and does not explain its boot. */
export const unexplainedReasons: ReadonlySet<ReasonCode> = new Set([...logReasons, 'pcr-bank-missing']);

export interface SentLogs {
  /** The events that the boot log replays. */
  readonly events: readonly Pick<ExtendedEvent, 'pcr'>[];
  readonly hasImaLog: boolean;
}

/** `reason` in the words of what is missing, where a log that was not sent explains it. */
export function namedAbsent(reason: Reason, pcrs: readonly number[], { events, hasImaLog }: SentLogs): Reason {
  if (reason.code !== 'pcr-digest-mismatch') return reason;
  if (isWithoutFirmware(events) && pcrs.some((pcr) => pcr <= FIRMWARE_PCR_MAX)) {
    const message = `the TPM quotes PCRs ${pcrs.join(',')}, and the device sent ${firmwareLogMissingText}`;
    return { ...reason, code: 'firmware-log-missing', message };
  }
  if (pcrs.includes(IMA_PCR) && !hasImaLog) {
    return { ...reason, code: 'ima-log-missing', pcr: IMA_PCR };
  }
  return reason;
}
