// Alerts (spec/alerts.md): events that need an operator's attention. Raised inside the transaction of their cause. There is at most one
// open alert for each cause: a repeated attack increases a number, and neither the store nor the log grows.
import type { Json } from '@edgekeep/core/json';
import { type AlertKind, alertSeverities, type AlertSeverity } from '@edgekeep/wire/api/alert';
import { type Kysely, sql } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { AlertRow } from '../store/tables/alert.ts';
import { type AlertData, boundedData, boundedText, mergedData } from './alert-data.ts';

export interface Alert {
  readonly kind: AlertKind;
  readonly severity: AlertSeverity;
  readonly subject: AlertSubject;
  /** Distinguishes causes of one kind with one subject, for example a certificate's serial number. */
  readonly detail?: string;
  /** One line for people: what happened. */
  readonly title: string;
  readonly data: AlertData;
  /** Who caused it, as in the audit log. */
  readonly actor?: string;
  /** How often, where a flood was counted before it was reported here. */
  readonly times?: number;
  readonly nowMs: number;
}

/** The subject of an alert: a device, or a part of the hub by its word in the audit log (`log:NAME`). */
export type AlertSubject = { readonly deviceId: string } | { readonly part: string };

export interface Raised {
  readonly id: number;
  /** False when it was open already and was counted. */
  readonly opened: boolean;
}

// Closed alerts are in the audit log as well; the table keeps them this long, and each new alert clears a few.
const closedKeptMs = 400 * 86_400_000;
const clearedAtOnce = 100;

/**
 * Opens an alert, or counts the event on the open one for the same cause. Lists in `data` are united, other members take the newest value.
 */
export async function raiseAlert(trx: WriteTransaction, alert: Alert): Promise<Raised> {
  const cause = causeOf(alert);
  const standing = await findStanding(trx, cause);
  if (standing === undefined) return { id: await open(trx, alert, cause), opened: true };
  const { times = 1, nowMs, severity } = alert;
  const escalates = isGraver(alert, standing);
  await trx
    .updateTable('alert')
    .set({
      count: standing.count + times,
      last_seen: Math.max(standing.last_seen, nowMs),
      title: boundedText(alert.title),
      data: JSON.stringify(mergedData(standing.data, alert.data)),
      // An operator acknowledged only the lower severity.
      ...(escalates ? { severity, state: 'open', state_by: null, state_at: null, note: null } : {}),
    })
    .where('id', '=', standing.id)
    .execute();
  if (escalates) await logEscalation(trx, alert, standing);
  return { id: standing.id, opened: false };
}

// At most one for each severity: receivers that want grave alerts only learn of it now.
async function logEscalation(trx: WriteTransaction, alert: Alert, { id, subject }: AlertRow): Promise<void> {
  const { kind, severity, nowMs, actor = 'hub' } = alert;
  const data = { alert: id, kind, severity, title: boundedText(alert.title) };
  await appendEntry(trx, { at: nowMs, kind: 'alert-escalated', actor, subject, data });
}

/** Closes the open alert for a cause, because the hub itself sees that it is over; false when there is none. */
export async function settleAlert(
  trx: WriteTransaction,
  over: Pick<Alert, 'kind' | 'subject' | 'detail' | 'nowMs'> & { readonly note: string },
): Promise<boolean> {
  const standing = await findStanding(trx, causeOf(over));
  if (standing === undefined) return false;
  const { nowMs, note } = over;
  await close(trx, standing, { actor: 'hub', nowMs, note });
  return true;
}

/**
 * Brings the alert about a state that is weighed from time to time to what the state is now. An open alert that says the same already, as gravely
 * at least, is left alone: nothing is written, and the same state is not counted again.
 */
export async function weighAlert(
  database: Pick<Database, 'read' | 'writeAsHub'>,
  about: Pick<Alert, 'kind' | 'subject' | 'detail' | 'nowMs'>,
  state: Pick<Alert, 'severity' | 'title' | 'data'> | { readonly settled: string },
): Promise<void> {
  const standing = await findStanding(database.read, causeOf(about));
  if ('settled' in state) {
    if (standing !== undefined) await database.writeAsHub((trx) => settleAlert(trx, { ...about, note: state.settled }));
    return;
  }
  const saysTheSame = (row: AlertRow | undefined) => row?.title === boundedText(state.title) && !isGraver(state, row);
  if (saysTheSame(standing)) return;
  await database.writeAsHub(async (trx) => {
    // Another node may have weighed the same state meanwhile.
    if (!saysTheSame(await findStanding(trx, causeOf(about)))) await raiseAlert(trx, { ...about, ...state });
  });
}

interface AlertOrder {
  readonly id: number;
  readonly actor: string;
  readonly nowMs: number;
}

/** An operator investigates it. It stays open until it is closed; a closed one is a `conflict`. */
export async function acknowledgeAlert(
  database: Database,
  { id, actor, nowMs, note = null }: AlertOrder & { readonly note: string | null | undefined },
): Promise<AlertRow> {
  return database.write(async (trx) => {
    const alert = await getAlert(trx, id);
    if (alert.state === 'closed')
      throw new HubError('conflict', `alert ${id} is closed: the next one gets its own number`);
    const changed = { ...alert, state: 'acknowledged', state_by: actor, state_at: nowMs, note } as const;
    await store(trx, changed);
    const data = { alert: id, kind: alert.kind, severity: alert.severity, ...(note === null ? {} : { note }) };
    await appendEntry(trx, { at: nowMs, kind: 'alert-acknowledged', actor, subject: alert.subject, data });
    return changed;
  });
}

/** It is over; the same event later opens a new alert. Closing twice changes nothing. */
export async function closeAlert(database: Database, order: AlertOrder & { readonly note: string }): Promise<AlertRow> {
  return database.write(async (trx) => {
    const alert = await getAlert(trx, order.id);
    return alert.state === 'closed' ? alert : close(trx, alert, order);
  });
}

/** The alert, or `not-found`. */
export async function getAlert(db: Kysely<Tables>, id: number): Promise<AlertRow> {
  const row = await db.selectFrom('alert').selectAll().where('id', '=', id).executeTakeFirst();
  if (row === undefined)
    throw new HubError('not-found', `no alert ${id}: \`edgekeep alert list --state any\` shows all`);
  return row;
}

async function findStanding(db: Kysely<Tables>, cause: string): Promise<AlertRow | undefined> {
  const [row] = await standingOf(db, { cause });
  return row;
}

// Each release of a key asks this for several causes. The index has the alerts that are not closed, and serves only a condition in its own words: with
// a parameter for the state, every alert is read.
const standingOf = prepared<{ cause: string }, AlertRow>((db, value) =>
  db
    .selectFrom('alert')
    .selectAll()
    .where('cause', '=', value('cause'))
    .where(sql<boolean>`state <> 'closed'`),
);

function isGraver(one: Pick<Alert, 'severity'>, other: Pick<Alert, 'severity'>): boolean {
  return alertSeverities.indexOf(one.severity) > alertSeverities.indexOf(other.severity);
}

async function open(trx: WriteTransaction, alert: Alert, cause: string): Promise<number> {
  const { kind, severity, nowMs, actor = 'hub', times = 1 } = alert;
  const title = boundedText(alert.title);
  const data: { readonly [name: string]: Json } = boundedData(alert.data);
  const subject = subjectText(alert.subject);
  const id = await appendEntry(trx, {
    at: nowMs,
    kind: 'alert-raised',
    actor,
    subject,
    data: { kind, severity, title, data },
  });
  await clearClosed(trx, nowMs);
  await trx
    .insertInto('alert')
    .values({
      id,
      kind,
      severity,
      state: 'open',
      subject,
      device_id: 'deviceId' in alert.subject ? alert.subject.deviceId : null,
      cause,
      title,
      data: JSON.stringify(data),
      first_seen: nowMs,
      last_seen: nowMs,
      count: times,
      state_by: null,
      state_at: null,
      note: null,
    })
    .execute();
  return id;
}

async function close(
  trx: WriteTransaction,
  alert: AlertRow,
  { actor, nowMs, note }: { readonly actor: string; readonly nowMs: number; readonly note: string },
): Promise<AlertRow> {
  const changed = { ...alert, state: 'closed', state_by: actor, state_at: nowMs, note } as const;
  await store(trx, changed);
  const data = { alert: alert.id, kind: alert.kind, severity: alert.severity, count: alert.count, note };
  await appendEntry(trx, { at: nowMs, kind: 'alert-closed', actor, subject: alert.subject, data });
  return changed;
}

async function store(trx: WriteTransaction, { id, state, state_by, state_at, note }: AlertRow): Promise<void> {
  await trx.updateTable('alert').set({ state, state_by, state_at, note }).where('id', '=', id).execute();
}

async function clearClosed(trx: WriteTransaction, nowMs: number): Promise<void> {
  const old = trx
    .selectFrom('alert')
    .select('id')
    .where('state', '=', 'closed')
    .where('state_at', '<', nowMs - closedKeptMs)
    .orderBy('id')
    .limit(clearedAtOnce);
  await trx.deleteFrom('alert').where('id', 'in', old).execute();
}

function causeOf({ kind, subject, detail = '' }: Pick<Alert, 'kind' | 'subject' | 'detail'>): string {
  return `${kind} ${subjectText(subject)} ${detail}`;
}

function subjectText(subject: AlertSubject): string {
  return 'deviceId' in subject ? `device:${subject.deviceId}` : subject.part;
}
