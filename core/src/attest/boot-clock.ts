// The counters and the clock of a TPM from one quote to the next: what may not go back, and how fast the clock may run (spec/tpm-clock.md).
import type { ClockInfo } from '../tpm/attest.ts';
import type { Reason } from './reason.ts';

/** A TPM's boot counters; never going backwards for one attestation key. */
export interface BootCounters {
  readonly resetCount: number;
  readonly restartCount: number;
}

/** Between these two moments of the verifier a quote was made: its nonce was issued or its connection began, and it arrived. */
export interface QuotedBetween {
  readonly askedMs: number;
  readonly receivedMs: number;
}

/** What a verifier knows of the newest quote that it accepted. */
export interface LastQuote extends BootCounters {
  /** Left out where only the counters are known. */
  readonly clock?: bigint | undefined;
  readonly receivedMs?: number | undefined;
}

/** Part 1, "Clock": a loss of power sets it back to the last save, and it is saved at least this often. */
const SAVE_INTERVAL_MS_MAX = 2n ** 22n;
/** Part 1: how fast or slow a TPM's clock may run. */
const tpmDriftPercent = 15;
const roundingMs = 1_000;

// TPM2_Clear begins the count anew, and so does a state that was set back.
const cleared =
  ', or its TPM was cleared (TPM2_Clear, also by the setup of the firmware). If it was cleared on purpose, wipe the device (edgekeep device mark-wiped) and let it enroll again with an empty state folder';

/** The reason to refuse a quote because its TPM was set back. `askedMs` left out: no two quotes can have overtaken each other. */
export function setBackReason(found: ClockInfo, last: LastQuote, askedMs?: number): Reason | undefined {
  const sameReset = found.resetCount === last.resetCount;
  if (found.resetCount < last.resetCount || (sameReset && found.restartCount < last.restartCount)) {
    const message = `the quote is of boot ${bootOf(found)}, and ${bootOf(last)} was seen already: it is old${found.resetCount < last.resetCount ? cleared : ''}`;
    return { code: 'reset-count-decreased', message };
  }
  if (last.clock === undefined || found.clock >= last.clock) return undefined;
  if (!sameReset || last.clock - found.clock <= overtakenMs(last, askedMs)) return undefined;
  const message = `the TPM's clock is at ${found.clock} ms in boot ${bootOf(found)}, and a quote of boot ${bootOf(last)} at ${last.clock} ms was accepted before this one was asked for: its state was set back or copied`;
  return { code: 'clock-decreased', message };
}

/**
 * Whether the clock went back over a reset by more than a loss of power explains (Part 1, "Clock"). A TPM in software may do this after each
 * loss of power, so it proves nothing: libtpms writes its clock to disk only together with something else, and calls it safe 4 s later.
 */
export function wentBackOverReset(found: ClockInfo, last: LastQuote): boolean {
  if (last.clock === undefined || found.resetCount <= last.resetCount) return false;
  return last.clock - found.clock > (found.safe ? 0n : SAVE_INTERVAL_MS_MAX);
}

// The newer one may have arrived first: both were made between the moment this one was asked for and the arrival of the other.
function overtakenMs({ receivedMs }: LastQuote, askedMs: number | undefined): bigint {
  if (receivedMs === undefined || askedMs === undefined || askedMs >= receivedMs) return 0n;
  return BigInt(Math.ceil((receivedMs - askedMs) * (1 + tpmDriftPercent / 100)) + roundingMs);
}

function bootOf({ resetCount, restartCount }: BootCounters): string {
  return `${resetCount}.${restartCount}`;
}

/**
 * Whether a refused quote may only have been late: it was asked for before the newest one arrived. It proves no TPM that was set back.
 */
export function mayBeLate({ code }: Reason, { receivedMs }: LastQuote, askedMs: number): boolean {
  return code === 'reset-count-decreased' && receivedMs !== undefined && askedMs < receivedMs;
}

/** A quote as its clock and the verifier's are compared. */
export interface TimedQuote extends BootCounters, QuotedBetween {
  readonly clock: bigint;
}

export interface ClockBounds {
  readonly driftPercent: number;
  readonly slackSeconds: number;
}

export type ClockProgress = 'fits' | 'fast' | 'slow' | 'back';

/** How the clock advanced from `anchor` to `found`, compared with the verifier's. In another boot it may have been without power in between. */
export function clockProgress(found: TimedQuote, anchor: TimedQuote, bounds: ClockBounds): ClockProgress {
  const { minAdvanceMs, maxAdvanceMs } = clockBetween(found, anchor, bounds);
  const advancedMs = Number(found.clock - anchor.clock);
  if (advancedMs > maxAdvanceMs) return 'fast';
  return isSameBoot(found, anchor) && advancedMs < minAdvanceMs ? 'slow' : 'fits';
}

/** How far the clock may have advanced, in milliseconds. */
export function clockBetween(
  found: QuotedBetween,
  anchor: QuotedBetween,
  { driftPercent, slackSeconds }: ClockBounds,
): { readonly minAdvanceMs: number; readonly maxAdvanceMs: number } {
  const drift = driftPercent / 100;
  const slackMs = slackSeconds * 1_000;
  const shortestMs = Math.max(0, found.askedMs - anchor.receivedMs);
  const longestMs = Math.max(0, found.receivedMs - anchor.askedMs);
  return { minAdvanceMs: shortestMs * (1 - drift) - slackMs, maxAdvanceMs: longestMs * (1 + drift) + slackMs };
}

export function isSameBoot(one: BootCounters, other: BootCounters): boolean {
  return one.resetCount === other.resetCount && one.restartCount === other.restartCount;
}
