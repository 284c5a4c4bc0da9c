// The counters and the clock of a device's TPM from one quote to the next (spec/tpm-clock.md): kept for each device and attestation key, and
// compared again in the transaction that records a quote.
import {
  clockBetween,
  type ClockBounds,
  type ClockProgress,
  clockProgress,
  isSameBoot,
  type LastQuote,
  mayBeLate,
  type QuotedBetween,
  setBackReason,
  type TimedQuote,
  wentBackOverReset,
} from '@edgekeep/core/attest/boot-clock';
import type { Reason, ReasonCode } from '@edgekeep/core/attest/reason';
import type { ClockInfo } from '@edgekeep/core/tpm/attest';
import type { Kysely } from 'kysely';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { TpmClockRow } from '../store/tables/attest.ts';

/** A quote by the device's own key, and how its clock is compared with the hub's. */
export interface DatedQuote extends ClockInfo, QuotedBetween {
  /** Qualified name of the attestation key, hex. */
  readonly keyName: string;
  /** It begins a new record. */
  readonly enrolls: boolean;
  /** The stretch of time in which the hub's clock was not set. */
  readonly epoch: string;
  readonly bounds: ClockBounds;
  readonly alerts: boolean;
}

const setBackCodes: readonly ReasonCode[] = ['reset-count-decreased', 'clock-decreased'];

/** Whether a quote was refused because its TPM was set back. */
export function isSetBack(reasons: readonly { readonly code: string }[]): boolean {
  return reasons.some(({ code }) => setBackCodes.some((known) => known === code));
}

/** The reasons show a TPM that was set back, and not only a quote that arrived late. */
export function provesSetBack(reasons: readonly Reason[], last: LastQuote | undefined, askedMs: number): boolean {
  return isSetBack(reasons) && !(last !== undefined && reasons.some((reason) => mayBeLate(reason, last, askedMs)));
}

/** What is known of the device's newest quote by this key; of a device from before, only its reset count. */
export async function lastQuoteOf(
  db: Kysely<Tables>,
  device: { readonly id: string; readonly reset_count: number },
  keyName: string,
): Promise<LastQuote | undefined> {
  const row = await rowOf(db, device.id, keyName);
  if (row !== undefined) return lastOf(row);
  return device.reset_count < 0 ? undefined : { resetCount: device.reset_count, restartCount: 0 };
}

/** Whether a quote that was accepted is refused now, because another one was recorded since. */
export async function isOvertaken(trx: WriteTransaction, deviceId: string, quote: DatedQuote): Promise<boolean> {
  if (quote.enrolls) return false;
  const row = await rowOf(trx, deviceId, quote.keyName);
  return row !== undefined && setBackReason(quote, lastOf(row), quote.askedMs) !== undefined;
}

/** Keeps the quote if it is the newest, and raises or settles the alert about its clock. */
export async function recordTpmClock(trx: WriteTransaction, deviceId: string, quote: DatedQuote): Promise<void> {
  const last = quote.enrolls ? undefined : await rowOf(trx, deviceId, quote.keyName);
  if (last !== undefined && isNewer(lastOf(last), quote)) return;
  const anchored = last?.epoch === quote.epoch && isSameBoot(lastOf(last), quote) ? anchorOf(last) : quote;
  const progress = last === undefined ? 'fits' : progressSince(last, quote);
  if (last !== undefined && quote.alerts) await weighProgress(trx, { deviceId, quote, last, progress });
  await keepClock(trx, {
    device_id: deviceId,
    key_name: quote.keyName,
    reset_count: quote.resetCount,
    restart_count: quote.restartCount,
    clock: `${quote.clock}`,
    safe: quote.safe ? 1 : 0,
    asked_at: quote.askedMs,
    received_at: quote.receivedMs,
    anchor_clock: `${anchored.clock}`,
    anchor_asked_at: anchored.askedMs,
    anchor_received_at: anchored.receivedMs,
    epoch: quote.epoch,
    progress,
  });
}

const keepClock = prepared<TpmClockRow, never>((db, value) =>
  db
    .insertInto('tpm_clock')
    .values({
      device_id: value('device_id'),
      key_name: value('key_name'),
      reset_count: value('reset_count'),
      restart_count: value('restart_count'),
      clock: value('clock'),
      safe: value('safe'),
      asked_at: value('asked_at'),
      received_at: value('received_at'),
      anchor_clock: value('anchor_clock'),
      anchor_asked_at: value('anchor_asked_at'),
      anchor_received_at: value('anchor_received_at'),
      epoch: value('epoch'),
      progress: value('progress'),
    })
    .onConflict((conflict) =>
      conflict.column('device_id').doUpdateSet((q) => ({
        key_name: q.ref('excluded.key_name'),
        reset_count: q.ref('excluded.reset_count'),
        restart_count: q.ref('excluded.restart_count'),
        clock: q.ref('excluded.clock'),
        safe: q.ref('excluded.safe'),
        asked_at: q.ref('excluded.asked_at'),
        received_at: q.ref('excluded.received_at'),
        anchor_clock: q.ref('excluded.anchor_clock'),
        anchor_asked_at: q.ref('excluded.anchor_asked_at'),
        anchor_received_at: q.ref('excluded.anchor_received_at'),
        epoch: q.ref('excluded.epoch'),
        progress: q.ref('excluded.progress'),
      })),
    ),
);

const byDevice = prepared<{ deviceId: string }, TpmClockRow>((db, value) =>
  db.selectFrom('tpm_clock').selectAll().where('device_id', '=', value('deviceId')),
);

async function rowOf(db: Kysely<Tables>, deviceId: string, keyName: string): Promise<TpmClockRow | undefined> {
  const [row] = await byDevice(db, { deviceId });
  return row?.key_name === keyName ? row : undefined;
}

function lastOf(row: TpmClockRow): TimedQuote {
  const { reset_count: resetCount, restart_count: restartCount, asked_at: askedMs, received_at: receivedMs } = row;
  return { resetCount, restartCount, clock: BigInt(row.clock), askedMs, receivedMs };
}

function anchorOf(row: TpmClockRow): TimedQuote {
  const { anchor_asked_at: askedMs, anchor_received_at: receivedMs } = row;
  return { ...lastOf(row), clock: BigInt(row.anchor_clock), askedMs, receivedMs };
}

function isNewer(one: TimedQuote, other: ClockInfo): boolean {
  if (one.resetCount !== other.resetCount) return one.resetCount > other.resetCount;
  if (one.restartCount !== other.restartCount) return one.restartCount > other.restartCount;
  return one.clock > other.clock;
}

// Without a common stretch of time nothing is known, and what was said last stays. A clock that went back stays so until the next boot.
function progressSince(last: TpmClockRow, quote: DatedQuote): ClockProgress {
  if (wentBackOverReset(quote, lastOf(last))) return 'back';
  if (last.progress === 'back' && isSameBoot(lastOf(last), quote)) return 'back';
  if (last.epoch !== quote.epoch) return last.progress;
  return clockProgress(quote, comparedWith(last, quote), quote.bounds);
}

function comparedWith(last: TpmClockRow, quote: DatedQuote): TimedQuote {
  return isSameBoot(lastOf(last), quote) ? anchorOf(last) : lastOf(last);
}

interface Weighed {
  readonly deviceId: string;
  readonly quote: DatedQuote;
  readonly last: TpmClockRow;
  readonly progress: ClockProgress;
}

async function weighProgress(trx: WriteTransaction, { deviceId, quote, last, progress }: Weighed): Promise<void> {
  if (progress === last.progress) return;
  const about = { kind: 'tpm-clock', subject: { deviceId }, nowMs: quote.receivedMs } as const;
  if (progress === 'fits') {
    await settleAlert(trx, { ...about, note: 'its clock advances as the hub’s again' });
    return;
  }
  if (progress === 'back') return raiseWentBack(trx, deviceId, { quote, last });
  const since = comparedWith(last, quote);
  const advancedSeconds = Math.round(Number(quote.clock - since.clock) / 1_000);
  const { minAdvanceMs, maxAdvanceMs } = clockBetween(quote, since, quote.bounds);
  const [minSeconds, maxSeconds] = [Math.max(0, Math.round(minAdvanceMs / 1_000)), Math.round(maxAdvanceMs / 1_000)];
  const expected = progress === 'slow' ? `at least ${minSeconds}` : `at most ${maxSeconds}`;
  await raiseAlert(trx, {
    ...about,
    severity: 'medium',
    title: `the clock of the TPM of ${deviceId} is ${progress}: it advanced by ${advancedSeconds} s, expected ${expected}`,
    data: { progress, advancedSeconds, minSeconds, maxSeconds, resetCount: quote.resetCount },
    actor: `device:${deviceId}`,
  });
}

async function raiseWentBack(
  trx: WriteTransaction,
  deviceId: string,
  { quote, last }: Pick<Weighed, 'quote' | 'last'>,
): Promise<void> {
  const secondsOf = (clock: bigint) => Number(clock / 1_000n);
  const [from, to] = [secondsOf(BigInt(last.clock)), secondsOf(quote.clock)];
  await raiseAlert(trx, {
    kind: 'tpm-clock',
    subject: { deviceId },
    nowMs: quote.receivedMs,
    severity: 'high',
    title: `the clock of the TPM of ${deviceId} went back from ${from} s to ${to} s over a reset: a virtual TPM that lost power, or one that was set back`,
    data: { progress: 'back', fromSeconds: from, toSeconds: to, resetCount: quote.resetCount },
    actor: `device:${deviceId}`,
  });
}
