// The alert about rows of the store that its log does not vouch for.
import { raiseAlert } from '../alert/alerts.ts';
import { findingsText, type StateAlarm } from '../audit/security-state.ts';
import type { Database } from '../store/database.ts';

const ROWS_NAMED_MAX = 16;

export async function alarmRows(
  database: Database,
  { findings, reasons, ends }: StateAlarm,
  nowMs: number,
): Promise<void> {
  const title =
    findings.length > 0 ? findingsText(findings) : `the store is not what its log says: ${reasons.join('; ')}`;
  const rows = findings.slice(0, ROWS_NAMED_MAX).map(({ kind, table, name }) => `${kind} ${table} ${name}`);
  await database.writeAsHub((trx) =>
    raiseAlert(trx, {
      kind: 'rows-refused',
      severity: 'critical',
      subject: { part: 'store' },
      title,
      data: { rows, count: findings.length, hubEnds: ends },
      nowMs,
    }),
  );
}
