// The rows that decide who may do what, and the log's word on them (docs/design/security-state.md). A start compares both before anything is served,
// removes rows without an entry, and refuses where a row is gone or changed that may have forbidden something. A job compares again every hour.
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { printable } from '@edgekeep/core/canonical/printable';
import { sql } from 'kysely';
import { Gauge, type Registry } from 'prom-client';
import { z } from 'zod';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Job, Subject } from '../common/subject.ts';
import { Database, type WriteTransaction } from '../store/database.ts';
import { latestTimeIn } from '../store/hub-time.ts';
import { isMigrated } from '../store/migrate.ts';
import { isReference } from '../store/engine/failures.ts';
import { markAt, movedError } from '../store/store-mark.ts';
import { openReader, type StorePlace } from '../store/engine/place.ts';
import { type RowExpressions, rowSqlOf } from '../store/engine/row-sql.ts';
import type { Tables } from '../store/schema.ts';
import { tableList } from '../store/security-tables.ts';
import { appendEntry } from './append.ts';
import { checkState, type StateFinding, type StateVerdict } from './state-check.ts';
import { layoutOf, rowDigest, type StateReason } from './state-entry.ts';
import { addToList, StateRecorder, storedName } from './state-recorder.ts';

type Compared = Extract<StateVerdict, { readonly kind: 'compared' }>;

/** A store that was compared before it was opened. */
export interface FoundState {
  readonly place: StorePlace;
  readonly key: Uint8Array;
  readonly verdict: Exclude<StateVerdict, { readonly kind: 'forged' }>;
}

/**
 * Compares a store that nobody has open, by the list of tables that its own log names. Throws `store-moved` for a store that was left, `state-refused` where it was forged, and where rows do
 * not match and this version would write them into another list: there they would become rows that the log vouches for.
 */
export async function findState(place: StorePlace, key: Uint8Array): Promise<FoundState> {
  if (typeof place === 'string' && !existsSync(place)) return { place, key, verdict: { kind: 'none' } };
  const mark = await markAt(place);
  // What a move did to the store that it left is not for this comparison.
  if (mark?.state === 'moved') throw movedError(mark);
  await using reader = await openReader<Tables>(place);
  const verdict = await checkState(reader, key);
  if (verdict.kind === 'forged') throw forgedError(verdict.reasons);
  const found = { place, key, verdict };
  if (verdict.kind === 'compared' && verdict.findings.length > 0 && !(isKnown(found) && (await isMigrated(reader)))) {
    const text = findingsText(verdict.findings);
    throw new HubError(
      'state-refused',
      `before the upgrade of this store: ${text}. Start the version before, which removes the rows and raises an alert, or restore a backup`,
    );
  }
  return found;
}

/**
 * What the opening of a found store runs in the transaction of its migrations: it takes the rows as they are. Rows that somebody writes into the file
 * after a crash in between are not taken: the store is then as it was before, and is compared again.
 */
export function adoption(found: FoundState, clock: Clock): (trx: WriteTransaction) => Promise<void> {
  return async (trx) => {
    if (isKnown(found)) return;
    const latestMs = await latestTimeIn(trx);
    await listRows(trx);
    const recorder = recorderOf(
      found,
      () => Math.max(clock(), latestMs),
      () => undefined,
    );
    recorder.want(found.verdict.kind === 'none' ? 'adopted' : 'layout');
    await recorder.record(trx);
  };
}

/** What is found in the store after it was opened. */
export async function adopted(before: FoundState): Promise<FoundState> {
  return isKnown(before) ? before : findState(before.place, before.key);
}

/** What a start or a check found and did. */
export interface StateAlarm {
  /** Rows that were removed, or that keep the hub from starting. */
  readonly findings: readonly StateFinding[];
  readonly reasons: readonly string[];
  /** Whether the hub goes on. */
  readonly ends: boolean;
}

interface StateDependencies {
  readonly database: Database;
  readonly found: FoundState;
  readonly clock: Clock;
  /** The number of entries in the log now. */
  readonly logSize: () => number;
  readonly settings: { readonly securityState: { readonly checkSeconds: number; readonly maxEntries: number } };
  /** Hears of what was found. */
  readonly alarm: (alarm: StateAlarm) => Promise<void>;
}

// A start after this many entries writes the digest of the whole state again, so that the next one is fast.
const STALE_ENTRIES = 10_000;

export class SecurityState implements Subject {
  readonly #database: Database;
  readonly #found: FoundState;
  readonly #clock: Clock;
  readonly #settings: StateDependencies['settings']['securityState'];
  readonly #recorder: StateRecorder;
  readonly #logSize: () => number;
  readonly #alarm: StateDependencies['alarm'];
  #soon: () => void = () => undefined;
  #checkedMs: number;
  #refused = 0;

  private constructor({ database, found, clock, logSize, settings, alarm }: StateDependencies) {
    this.#database = database;
    this.#found = found;
    this.#clock = clock;
    this.#logSize = logSize;
    this.#settings = settings.securityState;
    this.#alarm = alarm;
    this.#checkedMs = clock();
    this.#recorder = recorderOf(found, clock, () => this.#soon());
  }

  /** Brings rows and log together, and records every change from then on. Throws `state-refused` where the hub must not start. */
  static async open(dependencies: StateDependencies): Promise<SecurityState> {
    const state = new SecurityState(dependencies);
    await state.#settle();
    return state;
  }

  /** Has the check run at once, by the scheduler's job. */
  onDue(soon: () => void): void {
    this.#soon = soon;
  }

  /** Called after each commit. */
  committed(): void {
    if (this.#logSize() - this.#recorder.whole > this.#settings.maxEntries) this.#soon();
  }

  get job(): Job {
    return {
      name: 'security-state',
      summary: 'compares the rows that decide with the log, and the log with its checkpoint',
      everyMilliseconds: this.#settings.checkSeconds * 1_000,
      runsOn: 'one-node',
      run: (signal) => this.#check(signal),
    };
  }

  readonly metrics = (registry: Registry): void => {
    const gauge = (name: string, help: string, value: () => number) =>
      registry.registerMetric(
        new Gauge({
          name,
          help,
          registers: [],
          collect() {
            this.set(value());
          },
        }),
      );
    const age = () => Math.max(0, (this.#clock() - this.#checkedMs) / 1_000);
    gauge('edgekeep_security_state_age_seconds', 'Since the rows that decide were last compared with the log.', age);
    const refused = () => this.#refused;
    gauge('edgekeep_security_state_refused_rows', 'Rows that this start removed: the log does not know them.', refused);
  };

  async #settle(): Promise<void> {
    const { verdict } = this.#found;
    if (verdict.kind !== 'compared' || !isKnown(this.#found))
      throw new HubError('state-refused', 'the log does not vouch for the rows of this store');
    await this.#repair(verdict);
    await this.#database.watch(tableList.replayed, this.#recorder);
    await this.#dropMissing(verdict.findings);
    if (this.#logSize() - verdict.whole > STALE_ENTRIES) await this.#writeWhole('interval');
    await this.#assertSettled();
  }

  async #writeWhole(reason: StateReason): Promise<void> {
    this.#recorder.want(reason);
    await this.#database.writeAsHub(async () => undefined);
  }

  async #repair({ findings }: Compared): Promise<void> {
    if (findings.length === 0) return;
    const decisive = findings.filter(({ kind, table }) => kind === 'missing' && absenceOf(table) === 'permits');
    let ends = decisive.length > 0;
    const nowMs = this.#clock();
    const note = () => this.#database.writeAsHub((trx) => refuse(trx, findings, { ends, nowMs }));
    const isNew = await note().catch((error: unknown) => {
      // Rows that the log has refer to one that would be removed: releases to their publisher.
      if (ends || !(isReference(error) || (error instanceof HubError && isReference(error.cause)))) throw error;
      ends = true;
      return note();
    });
    if (isNew) await this.#alarm({ findings, reasons: [], ends });
    if (ends) throw new HubError('state-refused', findingsText(findings));
    this.#refused = findings.length;
  }

  async #dropMissing(findings: readonly StateFinding[]): Promise<void> {
    const missing = findings.filter(({ kind }) => kind === 'missing');
    if (missing.length === 0) return;
    await this.#database.writeAsHub(async (trx) => {
      for (const { table, digest } of missing) await this.#recorder.drop(trx, table, digest);
    });
  }

  async #assertSettled(): Promise<void> {
    await using reader = await openReader<Tables>(this.#found.place);
    const verdict = await checkState(reader, this.#found.key, 'running');
    if (verdict.kind === 'forged') throw forgedError(verdict.reasons);
    if (verdict.kind === 'none')
      throw new HubError('state-refused', 'the log has no entry about the state of the store');
    if (verdict.findings.length > 0) throw new HubError('state-refused', findingsText(verdict.findings));
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { place, key } = this.#found;
    const verdict = await inThread(place, key, signal);
    if (verdict.kind === 'compared' && verdict.findings.length === 0) {
      this.#checkedMs = this.#clock();
      if (this.#logSize() - 1 <= this.#recorder.whole) return;
      await this.#writeWhole('interval');
      return;
    }
    const findings = verdict.kind === 'compared' ? verdict.findings : [];
    const reasons = verdict.kind === 'forged' ? verdict.reasons : [];
    const nowMs = this.#clock();
    try {
      await this.#database.writeAsHub((trx) => refuse(trx, findings, { ends: true, nowMs }));
    } finally {
      // Also where the findings cannot be noted.
      await this.#alarm({ findings, reasons, ends: true });
    }
  }
}

const messageSchema = z.custom<StateVerdict>((value) => typeof value === 'object' && value !== null && 'kind' in value);

async function inThread(place: StorePlace, key: Uint8Array, signal: AbortSignal): Promise<StateVerdict> {
  const worker = new Worker(new URL('./state-thread.ts', import.meta.url), { workerData: { place, key } });
  const end = () => void worker.terminate();
  signal.addEventListener('abort', end);
  try {
    return await new Promise<StateVerdict>((resolve, reject) => {
      worker.once('message', (message) => resolve(messageSchema.parse(message)));
      worker.once('error', reject);
      worker.once('exit', () => reject(new HubError('hub-stopping', 'the check of the store was ended')));
    });
  } finally {
    signal.removeEventListener('abort', end);
    await worker.terminate();
  }
}

function absenceOf(table: string): 'denies' | 'permits' {
  return tableList.replayed.find((each) => each.table === table)?.absence ?? 'permits';
}

const NAMED_MAX = 8;

/** One line for people. */
export function findingsText(findings: readonly StateFinding[]): string {
  const named = findings.slice(0, NAMED_MAX).map(({ kind, table, name }) => {
    return kind === 'unlogged' ? `${table} "${name}" has no entry in the log` : `${table} "${name}" is gone or changed`;
  });
  const more = findings.length > NAMED_MAX ? `; and ${findings.length - NAMED_MAX} more` : '';
  return `the store is not what its log says: ${named.join('; ')}${more}`;
}

function forgedError(reasons: readonly string[]): HubError {
  return new HubError('state-refused', `the store is not what its log says: ${reasons.join('; ')}`);
}

function recorderOf({ key, verdict }: FoundState, clock: Clock, onStranger: () => void): StateRecorder {
  const { last, whole } = verdict.kind === 'compared' ? verdict : { last: -1, whole: -1 };
  return new StateRecorder(key, clock, { last, whole }, onStranger);
}

/** Whether the log's word is about the tables and columns that this version knows. */
function isKnown({ verdict }: Pick<FoundState, 'verdict'>): boolean {
  return verdict.kind === 'compared' && verdict.layout === layoutOf(tableList.replayed);
}

/** Opens the store of a stopped hub for a tool: the log vouches for what it changes. `found` has no findings. */
export async function openRecorded(found: FoundState, clock: Clock): Promise<Database> {
  const database = await Database.open(found.place, 'optional', undefined, adoption(found, clock));
  const recorder = recorderOf(await adopted(found), clock, () => undefined);
  await database.watch(tableList.replayed, recorder);
  return database;
}

/** Makes the list from the rows that are there. */
async function listRows(trx: WriteTransaction): Promise<void> {
  await trx.deleteFrom('security_row').execute();
  const expressions = await rowSqlOf(trx).rows(trx);
  for (const each of tableList.replayed) {
    const { name, text, condition } = expressions(each);
    const rows = await trx
      .selectFrom(sql`${sql.table(each.table)}`.as('r'))
      .select([name.as('name'), text.as('text')])
      .where(sql<boolean>`${condition}`)
      .execute();
    const list = rows.map((row) => [rowDigest(each.table, row.text), row.name] as const);
    await addToList(trx, each.table, list);
  }
}

const FINDINGS_LOGGED_MAX = 16;
// An attacker chose the name, and an entry has at most 8 KiB.
const NAME_LOGGED_MAX = 80;

/**
 * Notes the findings, and removes rows without an entry unless the hub does not start: then the store stays as it is, for an investigation.
 * Resolves to false when all of it was noted before.
 */
async function refuse(
  trx: WriteTransaction,
  findings: readonly StateFinding[],
  { ends, nowMs }: { readonly ends: boolean; readonly nowMs: number },
): Promise<boolean> {
  const inSql = rowSqlOf(trx);
  const expressions = await inSql.rows(trx);
  // Rows of one device refer to each other: the order of removal does not matter then.
  await inSql.referencesLater(trx);
  let noted = 0;
  for (const finding of findings) {
    const { kind, table, name, digest } = finding;
    const row = tableList.replayed.find((each) => each.table === table);
    const content = kind === 'unlogged' && row !== undefined ? await contentOf(trx, finding, expressions(row)) : '{}';
    const { numInsertedOrUpdatedRows = 0n } = await trx
      .insertInto('refused_row')
      .values({ table_name: table, digest, name: storedName(name), content, refused_at: nowMs })
      .onConflict((c) => c.columns(['table_name', 'digest']).doNothing())
      .executeTakeFirst();
    noted += Number(numInsertedOrUpdatedRows);
    if (kind === 'unlogged' && !ends && row !== undefined) await remove(trx, finding, expressions(row));
  }
  await inSql.referencesNow(trx);
  if (noted === 0 && ends) return false;
  const rows = findings
    .slice(0, FINDINGS_LOGGED_MAX)
    .map(({ kind, table, name, digest }) => ({ kind, table, name: printable(name, NAME_LOGGED_MAX), digest }));
  const data = { rows, count: findings.length, removed: !ends };
  await appendEntry(trx, { at: nowMs, kind: 'rows-refused', actor: 'hub', subject: 'store', data });
  return true;
}

type Found = Pick<StateFinding, 'table' | 'id'>;

async function contentOf(trx: WriteTransaction, { table, id }: Found, row: RowExpressions): Promise<string> {
  const { rows } = await sql`select r.* from ${sql.table(table)} as r where ${row.is(id)}`.execute(trx);
  return JSON.stringify(rows[0] ?? {}, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
  );
}

/** Of a server that others write to as well, only the row that was compared. */
async function remove(trx: WriteTransaction, finding: StateFinding, row: RowExpressions): Promise<void> {
  const { table, id, digest } = finding;
  const found = sql<{ text: string }>`select ${row.text} as text from ${sql.table(table)} as r where ${row.is(id)}`;
  const [now] = (await found.execute(trx)).rows;
  if (now !== undefined && rowDigest(table, now.text) === digest)
    await sql`delete from ${sql.table(table)} as r where ${row.is(id)}`.execute(trx);
}
