// What a device reports about its guards: stored, and an alert when a guard had to be killed, because a model did not finish or because
// data from the guard did not come from a guard of ours.
import { type GuardReport, guardReport } from '@edgekeep/wire/api/guard-report';
import type { WriteTransaction } from '../store/database.ts';
import { raiseAlert } from '../alert/alerts.ts';

/** Undefined for a device without a report, or with a report in a form that this version cannot read. */
export function guardOf({ guard }: { readonly guard: string | null }): GuardReport | undefined {
  return guard === null ? undefined : guardReport.safeParse(JSON.parse(guard)).data;
}

export async function recordGuard(
  trx: WriteTransaction,
  { deviceId, guard, nowMs }: { readonly deviceId: string; readonly guard: GuardReport; readonly nowMs: number },
): Promise<void> {
  const row = await trx.selectFrom('device').select('guard').where('id', '=', deviceId).executeTakeFirstOrThrow();
  const text = JSON.stringify(guard);
  if (row.guard === text) return;
  await trx.updateTable('device').set({ guard: text }).where('id', '=', deviceId).execute();
  const before = guardOf(row);
  const slow = grown(before?.inferenceTimeouts, guard.inferenceTimeouts);
  const hostile = grown(before?.protocolViolations, guard.protocolViolations);
  if (slow === 0 && hostile === 0) return;
  await raiseAlert(trx, {
    kind: 'guard-ended',
    severity: hostile > 0 ? 'high' : 'medium',
    subject: { deviceId },
    title:
      hostile > 0
        ? `a guard of ${deviceId} sent what no guard sends, and was ended: it may have been taken over`
        : `a model of ${deviceId} did not come to an end within the deadline of one inference: its guard was ended`,
    data: { inferenceTimeouts: slow, protocolViolations: hostile },
    actor: `device:${deviceId}`,
    nowMs,
  });
}

// Totals start at zero again when the agent restarts.
function grown(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before;
}
