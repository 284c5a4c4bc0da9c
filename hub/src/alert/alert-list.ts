// Alerts as operators see them: pages of a list, newest first, and how many are open.
import type { AlertView, alertQuery } from '@edgekeep/wire/api/alert';
import type { Kysely } from 'kysely';
import type { z } from 'zod';
import type { Tables } from '../store/schema.ts';
import type { AlertRow } from '../store/tables/alert.ts';

export async function listAlerts(
  db: Kysely<Tables>,
  query: z.infer<typeof alertQuery>,
): Promise<{ readonly alerts: AlertView[]; readonly next: number | null }> {
  const { state, kind, device, before, limit } = query;
  let select = db.selectFrom('alert').selectAll().orderBy('id', 'desc').limit(limit);
  if (state === 'standing') select = select.where('state', 'in', ['open', 'acknowledged']);
  else if (state !== 'any') select = select.where('state', '=', state);
  if (kind !== undefined) select = select.where('kind', '=', kind);
  if (device !== undefined) select = select.where('device_id', '=', device);
  if (before !== undefined) select = select.where('id', '<', before);
  const rows = await select.execute();
  return { alerts: rows.map(alertViewOf), next: rows.length === limit ? (rows.at(-1)?.id ?? null) : null };
}

/** Alerts that are not acknowledged, by kind and severity. */
export async function countOpenAlerts(
  db: Kysely<Tables>,
): Promise<readonly { readonly kind: string; readonly severity: string; readonly count: number }[]> {
  return db
    .selectFrom('alert')
    .select((q) => ['kind', 'severity', q.fn.countAll<number>().as('count')])
    .where('state', '=', 'open')
    .groupBy(['kind', 'severity'])
    .execute();
}

export function alertViewOf(row: AlertRow): AlertView {
  return {
    id: row.id,
    kind: row.kind,
    severity: row.severity,
    state: row.state,
    subject: row.subject,
    deviceId: row.device_id,
    title: row.title,
    data: JSON.parse(row.data),
    firstSeen: row.first_seen,
    lastSeen: row.last_seen,
    count: row.count,
    by: row.state_by,
    at: row.state_at,
    note: row.note,
  };
}
