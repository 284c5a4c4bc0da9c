// What is recorded of evidence that was refused: one entry for each connection and cause, although a device shows the same boot to bind, to attest
// and to ask for a key; and an alert, while its own evidence shows a boot that nobody accepts (spec/alerts.md).
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { appendEncodedEntry, encodeEvent, hasEntry } from '../audit/append.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { ImaPieces } from './ima-pieces.ts';

// The audit entry of a refusal shows the first reasons; the attestation result for the device has all of them.
const LOGGED_REASONS_MAX = 4;
// A connection that shows ever new evidence has an entry for each; that many are remembered.
const CAUSES_MAX = 16;

export interface LoggedRefusal {
  readonly reasons: readonly { readonly code: string; readonly message: string }[];
  readonly nowMs: number;
}

interface Logged {
  readonly index: number;
  readonly leafHash: Uint8Array;
}

const connectionOf = new WeakMap<Appraisal, ImaPieces>();
const loggedOn = new WeakMap<ImaPieces, Map<string, Logged>>();

/** The connection on which the evidence came. */
export function noteConnection(appraisal: Appraisal, connection: ImaPieces | undefined): void {
  if (connection !== undefined) connectionOf.set(appraisal, connection);
}

/** Appends the entry `attestation-refused`, unless this connection has one for the same reasons. */
export async function logRefusal(
  trx: WriteTransaction,
  deviceId: string,
  appraisal: Appraisal,
  { reasons, nowMs }: LoggedRefusal,
): Promise<void> {
  const connection = connectionOf.get(appraisal);
  const known = connection === undefined ? undefined : (loggedOn.get(connection) ?? new Map<string, Logged>());
  const cause = JSON.stringify([deviceId, ...appraisal.reasons.map(({ code, pcr }) => [code, pcr])]);
  const before = known?.get(cause);
  // A transaction that failed has left no entry, or its number to another one.
  if (before !== undefined && (await hasEntry(trx, before))) return;
  const device = `device:${deviceId}`;
  const data = { reasons: reasons.slice(0, LOGGED_REASONS_MAX) };
  const entry = encodeEvent({ at: nowMs, kind: 'attestation-refused', actor: device, subject: device, data });
  const index = await appendEncodedEntry(trx, entry);
  if (connection === undefined || known === undefined) return;
  if (known.size >= CAUSES_MAX) known.clear();
  known.set(cause, { index, leafHash: leafHash(entry) });
  loggedOn.set(connection, known);
}

/** Only for a device's own evidence. */
export async function raiseBootRefused(
  trx: WriteTransaction,
  deviceId: string,
  { reasons, nowMs }: LoggedRefusal,
): Promise<void> {
  await raiseAlert(trx, {
    kind: 'boot-refused',
    severity: 'high',
    subject: { deviceId },
    title: `the boot of ${deviceId} was refused: ${reasons[0]?.message ?? 'its evidence is contraindicated'}`,
    data: { reasons: reasons.map(({ code }) => code) },
    nowMs,
  });
}

export async function settleBootRefused(
  trx: WriteTransaction,
  deviceId: string,
  note: string,
  nowMs: number,
): Promise<void> {
  await settleAlert(trx, { kind: 'boot-refused', subject: { deviceId }, note, nowMs });
}
