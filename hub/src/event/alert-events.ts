// What the log says of alerts, as receivers outside get it: the entry of each change with what the alert is about. Entries about an alert that is
// open already name it by number; its own entry has the rest.
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { type AlertSeverity, alertSeverities } from '@edgekeep/wire/api/alert';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Tables } from '../store/schema.ts';
import type { LogEvent } from './events.ts';

/** The kinds of entries about alerts. */
export const alertEntryKinds = ['alert-raised', 'alert-escalated', 'alert-acknowledged', 'alert-closed'] as const;
const changes = ['raised', 'escalated', 'acknowledged', 'closed'] as const;

export interface AlertEvent {
  /** Of the entry. */
  readonly index: number;
  readonly at: number;
  readonly change: (typeof changes)[number];
  /** Number of the alert. */
  readonly alert: number;
  readonly kind: string;
  readonly severity: AlertSeverity;
  readonly subject: string;
  readonly title: string;
  /** Who caused the change. */
  readonly actor: string;
  readonly note: string | null;
  readonly data: Readonly<Record<string, unknown>>;
}

const raised = z.looseObject({
  // A kind of a former version is one too.
  kind: z.string(),
  severity: z.enum(alertSeverities),
  title: z.string(),
  data: z.record(z.string(), z.unknown()).default({}),
});
const changed = z.looseObject({
  alert: z.int(),
  severity: z.enum(alertSeverities).optional(),
  title: z.string().optional(),
  note: z.string().optional(),
});

/** Entries of other kinds are left out. */
export async function alertEventsOf(db: Kysely<Tables>, events: readonly LogEvent[]): Promise<readonly AlertEvent[]> {
  const all: AlertEvent[] = [];
  for (const event of events) {
    const found = await alertEventOf(db, event);
    if (found !== undefined) all.push(found);
  }
  return all;
}

async function alertEventOf(db: Kysely<Tables>, event: LogEvent): Promise<AlertEvent | undefined> {
  const change = changes[alertEntryKinds.findIndex((kind) => kind === event.kind)];
  if (change === undefined) return undefined;
  const { index, at, subject, actor } = event;
  const base = { index, at, change, subject, actor };
  if (change === 'raised') {
    const { kind, severity, title, data } = raised.parse(event.data);
    return { ...base, alert: index, kind, severity, title, note: null, data };
  }
  const now = changed.parse(event.data);
  const row = await db.selectFrom('audit_entry').select('entry').where('log_index', '=', now.alert).executeTakeFirst();
  // The entry that opened it is before this one in the log.
  if (row === undefined) throw new TypeError(`entry ${index} is about an alert that the log does not have`);
  const { kind, severity, title, data } = raised.parse(parseAuditEntry(row.entry).data);
  const state = { severity: now.severity ?? severity, title: now.title ?? title, note: now.note ?? null };
  return { ...base, alert: now.alert, kind, ...state, data };
}

/** Whether a receiver with these terms wants it. */
export function isWanted(
  event: Pick<AlertEvent, 'kind' | 'severity'>,
  terms: { readonly minSeverity: AlertSeverity; readonly kinds: readonly string[] },
): boolean {
  const graveEnough = alertSeverities.indexOf(event.severity) >= alertSeverities.indexOf(terms.minSeverity);
  return graveEnough && (terms.kinds.length === 0 || terms.kinds.includes(event.kind));
}
