// What a device reports about its guards: stored, and an alert when a guard had to be killed, because a model did not finish or because
// data from the guard did not come from a guard of ours, and when one crashed.
import { noteGuard } from '../registry/device-notes.ts';
import { type GuardReport, guardReport } from '@edgekeep/wire/api/guard-report';
import type { WriteTransaction } from '../store/database.ts';
import { raiseAlert } from '../alert/alerts.ts';

/** Undefined for a device without a report, or with a report in a form that this version cannot read. */
export function guardOf({ guard }: { readonly guard: string | null }): GuardReport | undefined {
  return guard === null ? undefined : guardReport.safeParse(JSON.parse(guard)).data;
}

/** Guards that ended without an order, by reason. */
export type EndedGuards = Readonly<Record<'inference-timeout' | 'protocol-violation' | 'crashed', number>>;

/** Returns what ended since the report before. */
export async function recordGuard(
  trx: WriteTransaction,
  { deviceId, guard, nowMs }: { readonly deviceId: string; readonly guard: GuardReport; readonly nowMs: number },
): Promise<EndedGuards> {
  const row = await trx.selectFrom('device').select('guard').where('id', '=', deviceId).executeTakeFirstOrThrow();
  const text = JSON.stringify(guard);
  if (row.guard === text) return noneEnded;
  await noteGuard(trx, deviceId, text);
  const before = guardOf(row);
  const ended: EndedGuards = {
    'inference-timeout': grown(before?.inferenceTimeouts, guard.inferenceTimeouts),
    'protocol-violation': grown(before?.protocolViolations, guard.protocolViolations),
    crashed: grown(before?.crashes, guard.crashes),
  };
  const worst = severities.find(({ reason }) => ended[reason] > 0);
  if (worst === undefined) return ended;
  await raiseAlert(trx, {
    kind: 'guard-ended',
    severity: worst.severity,
    subject: { deviceId },
    title: worst.title(deviceId),
    data: {
      inferenceTimeouts: ended['inference-timeout'],
      protocolViolations: ended['protocol-violation'],
      crashes: ended.crashed,
    },
    actor: `device:${deviceId}`,
    nowMs,
  });
  return ended;
}

const noneEnded: EndedGuards = { 'inference-timeout': 0, 'protocol-violation': 0, crashed: 0 };

/** The gravest first. */
const severities = [
  {
    reason: 'protocol-violation',
    severity: 'high',
    title: (device: string) => `a guard of ${device} sent invalid data and was killed: it may be compromised`,
  },
  {
    reason: 'inference-timeout',
    severity: 'medium',
    title: (device: string) =>
      `a model of ${device} did not finish within the deadline of one inference: its guard was killed`,
  },
  {
    reason: 'crashed',
    severity: 'low',
    title: (device: string) => `a guard of ${device} crashed, or was killed because memory was short`,
  },
] as const;

// Totals start at zero again when the agent restarts.
function grown(before: number | undefined, now: number): number {
  return before === undefined || now < before ? now : now - before;
}
