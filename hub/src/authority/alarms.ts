// Alarms before and at the end of the certificates that the hub's trust depends on (spec/authorities.md, "Warnings before an end"; spec/vendor-roots.md,
// "Ends"). One for each threshold and certificate, in the hub's log, the audit log and as an alert; it is over when the certificate was
// replaced or removed.
import { toHex } from '@edgekeep/core/bytes';
import { certificateDigest } from '@edgekeep/core/identity/certificate';
import type { AlertSeverity } from '@edgekeep/wire/api/alert';
import { appendEntry } from '../audit/append.ts';
import type { OwnCertificate } from './expiry.ts';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database, WriteTransaction } from '../store/database.ts';

const dayMs = 86_400_000;
const parts = ['authorities', 'vendor-roots'] as const;

/** A certificate whose end is watched; `part` is left out for one of the hub itself. */
export interface AlarmedCertificate extends OwnCertificate {
  readonly part?: (typeof parts)[number];
}

export interface ExpiryAlarm {
  readonly name: string;
  readonly sha256: string;
  readonly part: (typeof parts)[number];
  /** The threshold that was passed; 0 for the end itself. */
  readonly days: number;
  readonly notAfterMs: number;
}

interface Watched extends AlarmedCertificate {
  readonly sha256: string;
}

/** Raises the alarms that are due and were not raised before. Returns those that it raised. */
export async function raiseAlarms(
  database: Database,
  own: readonly AlarmedCertificate[],
  { alarmDays, nowMs }: { readonly alarmDays: readonly number[]; readonly nowMs: number },
): Promise<readonly ExpiryAlarm[]> {
  const watched = own.map((each) => ({ ...each, sha256: toHex(certificateDigest(each.certificate)) }));
  const due = watched.flatMap((each) => alarmOf(each, alarmDays, nowMs) ?? []);
  const raised = await database.read.selectFrom('expiry_alarm').select(['sha256', 'days']).execute();
  const over = raised.filter(({ sha256 }) => watched.every((each) => each.sha256 !== sha256));
  const fresh = due.filter((alarm) => !raised.some((old) => old.sha256 === alarm.sha256 && old.days <= alarm.days));
  if (fresh.length + over.length === 0) return [];
  return database.write(async (trx) => {
    for (const sha256 of new Set(over.map((each) => each.sha256))) await settle(trx, sha256, nowMs);
    const now: ExpiryAlarm[] = [];
    for (const alarm of fresh) if (await raise(trx, alarm, nowMs)) now.push(alarm);
    return now;
  });
}

/**
 * The nearest threshold that was passed. A sixth of the certificate's life counts where that is shorter: short-lived certificates are
 * renewed automatically.
 */
function alarmOf(
  { name, sha256, certificate, part = 'authorities' }: Watched,
  alarmDays: readonly number[],
  nowMs: number,
) {
  const { notBeforeSeconds, notAfterSeconds } = certificate;
  const notAfterMs = notAfterSeconds * 1_000;
  const sixthMs = (notAfterMs - notBeforeSeconds * 1_000) / 6;
  const passed = alarmDays.filter((days) => nowMs > notAfterMs - Math.min(days * dayMs, sixthMs));
  if (nowMs > notAfterMs) passed.push(0);
  return passed.length === 0 ? undefined : { name, sha256, part, days: Math.min(...passed), notAfterMs };
}

async function raise(trx: WriteTransaction, alarm: ExpiryAlarm, nowMs: number): Promise<boolean> {
  const { name, sha256, part, days, notAfterMs } = alarm;
  const { numInsertedOrUpdatedRows } = await trx
    .insertInto('expiry_alarm')
    .values({ sha256, days, raised_at: nowMs })
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  // Another node was first.
  if (numInsertedOrUpdatedRows === 0n) return false;
  const data = { certificate: sha256, name, days, notAfter: notAfterMs };
  await appendEntry(trx, { at: nowMs, kind: 'certificate-expiring', actor: 'hub', subject: `hub:${part}`, data });
  const title = alarmText(alarm);
  const alert = { kind: 'certificate-expiring', severity: severityOf(alarm), title } as const;
  await raiseAlert(trx, { ...alert, subject: { part }, detail: sha256, data, nowMs });
  return true;
}

async function settle(trx: WriteTransaction, sha256: string, nowMs: number): Promise<void> {
  const note = 'the certificate is not in use any more';
  for (const part of parts)
    await settleAlert(trx, { kind: 'certificate-expiring', subject: { part }, detail: sha256, nowMs, note });
  await trx.deleteFrom('expiry_alarm').where('sha256', '=', sha256).execute();
}

/** One line for people. */
export function alarmText({ name, days, notAfterMs }: ExpiryAlarm): string {
  const end = `${new Date(notAfterMs).toISOString().slice(0, 16)} UTC`;
  return days === 0 ? `${name}: ended ${end}` : `${name}: ends ${end}, within ${days} days`;
}

// When a maker's certificate ends, enrolled devices keep working; new ones are refused.
function severityOf({ days, part }: ExpiryAlarm): AlertSeverity {
  if (days <= 1 && part === 'authorities') return 'critical';
  if (days <= 14) return 'high';
  return days <= 60 ? 'medium' : 'low';
}
