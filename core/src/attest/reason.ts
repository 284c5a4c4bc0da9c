// Why an appraisal is not affirming: a closed list of codes, each with its PCR and log event, or its DICE layer, so that an operator reads
// "PCR 4, event 31, EV_EFI_BOOT_SERVICES_APPLICATION ..." and not "PCR mismatch". Codes are listed in spec/attestation-result.md.
import { toHex } from '../bytes.ts';
import { diceReasonCodes } from './dice/reason.ts';
import { describeEventData } from './event-data/describe.ts';
import { eventTypeName } from './event-type.ts';
import type { ExtendedEvent } from './replay.ts';

export const reasonCodes = [
  // the signature and what it covers
  'signature-invalid',
  'signer-unexpected',
  'qualifying-data-mismatch',
  'not-a-quote',
  'tier-mismatch',
  'pcr-selection-mismatch',
  'pcr-bank-missing',
  'pcr-digest-mismatch',
  'firmware-log-missing',
  'ima-log-missing',
  'reset-count-decreased',
  'clock-decreased',
  // the boot against the reference values
  'pcr-start-differs',
  'event-differs',
  'event-missing',
  'event-extra',
  'foreign-extend',
  'pcr-not-quoted',
  'pcr-not-covered',
  'boot-not-covered',
  'reference-values-missing',
  'ima-entry-refused',
  // the set that it matches does not count now, or not for this device
  'boot-superseded',
  'boot-below-lowest',
  'boot-expired',
  'boot-not-yet-valid',
  'boot-not-for-device',
  ...diceReasonCodes,
  // the tier
  'measured-by-software',
  'software-root-of-trust',
] as const;

export type ReasonCode = (typeof reasonCodes)[number];

/** An event as a report names it. */
export interface EventReference {
  /** Position in the log, header included, as tpm2_eventlog counts. */
  readonly index: number;
  readonly type: string;
  /** Printable, limited, safe to show; see `describeEventData`. */
  readonly description: string;
  /** SHA-256 bank, hex. */
  readonly digest: string;
}

/** What the reference values expected instead. */
export interface ExpectedReference {
  readonly name: string;
  readonly type: string;
  /** Acceptable SHA-256 digests, hex. */
  readonly digests: readonly string[];
}

export interface Reason {
  readonly code: ReasonCode;
  readonly message: string;
  readonly pcr?: number;
  readonly event?: EventReference;
  /** The DICE layer it is about. */
  readonly layer?: number;
  readonly expected?: ExpectedReference;
}

export function referenceTo(event: ExtendedEvent): EventReference {
  return {
    index: event.index,
    type: eventTypeName(event.eventType),
    description: describeEventData(event.eventType, event.event),
    digest: toHex(event.digest),
  };
}
