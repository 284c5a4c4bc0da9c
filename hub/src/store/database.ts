// The hub's store. Reads use their own connection; writes pass one queue and are committed in groups, so one fsync serves many requests and
// still nothing is acknowledged before it is durable.
import { performance } from 'node:perf_hooks';
import type { Kysely, RawBuilder, Transaction } from 'kysely';
import { HubError } from '../common/error.ts';
import { openApart, ReadingThread } from './apart.ts';
import { actingNow, actOn, runActing, undone } from './authority.ts';
import type { Document } from './document.ts';
import { assertInUse } from './store-mark.ts';
import { auditEntries, entriesOf } from './entries.ts';
import type { Engine, WriteGroup } from './engine/engine.ts';
import { FencedOut } from './engine/fenced-out.ts';
import { OutcomeUnknown } from './engine/outcome-unknown.ts';
import { openEngine, type StorePlace } from './engine/place.ts';
import type { RowChange } from './engine/row-watch.ts';
import { migrate } from './migrate.ts';
import { type Look, Revisions } from './revisions.ts';
import type { PublicDocument } from './page.ts';
import type { Tables } from './schema.ts';
import type { SecurityTable } from './security-tables.ts';

export type WriteTransaction = Transaction<Tables>;

// A group has a limit, so that a burst cannot hold the store, or the first request of the group, for long.
const GROUP_MAX = 256;
// A longer queue means that the disk has stopped: refuse new work.
const QUEUE_MAX = 20_000;
const plainThread = new URL('./plain-thread.ts', import.meta.url);

/** Whether a write may belong to no request: true for tools and tests, which use a store alone. */
export type AuthorityRule = 'required' | 'optional';

interface Job {
  /** Runs the caller's statements; returns the function to call once the group is durable. */
  readonly run: (trx: WriteTransaction) => Promise<() => void>;
  readonly fail: (error: unknown) => void;
  /** Whether the log must name who asked for it. */
  readonly isAsked: boolean;
  /** Charges the milliseconds that it took to its request. */
  readonly charge: (milliseconds: number) => void;
}

/** Records changes of rows that the log vouches for, in the transactions that make them. */
export interface ChangeRecorder {
  /** Called for each write, inside its savepoint. If it throws, that write fails. */
  admit(trx: WriteTransaction, changes: readonly RowChange[]): Promise<void>;
  /** Whether the group has something to record. */
  due(): boolean;
  /** Called before the commit of such a group. */
  record(trx: WriteTransaction): Promise<void>;
  /** The group was committed, or was lost. */
  settled(committed: boolean): void;
}

export class Database {
  readonly read: Kysely<Tables>;
  /** For reads over the whole fleet: they run in another thread, and the event loop continues. */
  readonly readApart: Kysely<Tables>;
  readonly #thread: ReadingThread;
  readonly #engine: Engine<Tables>;
  readonly #queue: Job[] = [];
  readonly #authority: AuthorityRule;
  #recorder: ChangeRecorder | undefined;
  readonly #revisions: Revisions;
  #draining: Promise<void> | undefined;
  #closed = false;
  /** Why this process may write no more. */
  #ended: HubError | undefined;
  /** Called before each write of a request: throws where the hub must change nothing now. */
  assertMayWrite: () => void = () => {};
  /** Called when this process may write no more, because its claim to be a node has ended. */
  onFenced: () => void = () => {};
  /** Called once where this process may write no more: a start reads again what it knows of the store. */
  onEnded: (why: HubError) => void = () => {};
  /** Called after each group that was committed. */
  onCommit: () => void = () => {};

  private constructor(engine: Engine<Tables>, thread: ReadingThread, authority: AuthorityRule) {
    this.#engine = engine;
    this.read = engine.read;
    this.readApart = openApart(thread, engine.sql);
    this.#thread = thread;
    this.#revisions = new Revisions(engine.isShared);
    this.#authority = authority;
  }

  /**
   * Opens (and migrates) the store at a place. A hub that serves requests opens it with `required`, and with the file of a reading thread that
   * makes its pages. `upgraded` runs in the transaction of the migrations: what it writes is durable with them, or neither is. Throws `store-moved`
   * for a store that no hub may change.
   */
  static async open(
    place: StorePlace,
    authority: AuthorityRule = 'optional',
    thread = plainThread,
    upgraded: (trx: WriteTransaction) => Promise<void> = async () => undefined,
  ): Promise<Database> {
    return Database.#open(place, { authority, thread }, async () => upgraded);
  }

  /**
   * As `open`, and no other hub writes to the store while this one is open. `found` runs as soon as that is so, and gives what runs in the transaction of
   * the migrations. Throws `store-in-use`.
   */
  static async openAlone(
    place: StorePlace,
    options: { readonly authority: AuthorityRule; readonly thread?: URL },
    found: () => Promise<(trx: WriteTransaction) => Promise<void>>,
  ): Promise<Database> {
    if (typeof place === 'string') {
      // The lock of its folder says so already, and a store that is refused is not opened for writing.
      const upgraded = await found();
      return Database.#open(place, options, async () => upgraded);
    }
    return Database.#open(place, options, async (engine) => {
      await engine.hold();
      return found();
    });
  }

  static async #open(
    place: StorePlace,
    { authority, thread = plainThread }: { readonly authority: AuthorityRule; readonly thread?: URL },
    prepare: (engine: Engine<Tables>) => Promise<(trx: WriteTransaction) => Promise<void>>,
  ): Promise<Database> {
    const charge = (milliseconds: number) => actingNow()?.charge(milliseconds);
    const engine = await openEngine<Tables>(place, { charge, numbered: auditEntries });
    try {
      const upgraded = await prepare(engine);
      await engine.migrate(async (trx) => {
        await migrate(trx, typeof place !== 'string');
        await upgraded(trx);
        await assertInUse(trx);
      });
    } catch (error) {
      await engine[Symbol.asyncDispose]();
      throw error;
    }
    return new Database(engine, new ReadingThread(place, thread), authority);
  }

  /** From now on a group of writes is committed only while this query finds a row. */
  fence(query: string): void {
    this.#engine.fence(query);
  }

  /** From now on `recorder` hears of every change of a row of `tables`. */
  async watch(tables: readonly SecurityTable[], recorder: ChangeRecorder): Promise<void> {
    await this.#engine.watch(tables);
    this.#recorder = recorder;
  }

  /** A page that the reading thread makes, as JSON; `query` is one of that page. */
  async pageApart(name: string, query: unknown): Promise<Uint8Array> {
    const answer = await this.#thread.ask({ kind: 'page', name, query });
    if (answer.kind !== 'page') throw new TypeError(`a page was answered with ${answer.kind}`);
    return answer.bytes;
  }

  /** A document that the reading thread makes. It is for everybody, so it waits in no payer's line: who asked first could hold up the others. */
  async documentApart<Query>({ name }: PublicDocument<Query>, query: Query): Promise<Document> {
    const answer = await runActing(undefined, () => this.#thread.ask({ kind: 'document', name, query }));
    if (answer.kind !== 'document') throw new TypeError(`a document was answered with ${answer.kind}`);
    return answer.document;
  }

  /** Whether other nodes may write to this store. */
  get isShared(): boolean {
    return this.#engine.isShared;
  }

  /** The store's own clock, which is one for all nodes: an expression for a query. */
  get clock(): RawBuilder<number> {
    return this.#engine.clock;
  }

  /**
   * Rises when a row of these tables was changed and committed, by another node as soon as `look` has seen it; undefined while nothing watches
   * them.
   */
  revisionOf(tables: readonly (keyof Tables)[]): number | undefined {
    return this.#recorder === undefined ? undefined : this.#revisions.of(tables);
  }

  /** Which tables other nodes have changed since the last look that was settled. */
  look(): Promise<Look> {
    return this.#revisions.look(this.read);
  }

  /**
   * Runs `work` on the authority of its request, which is checked again in the same transaction before `work`. Resolves once that
   * transaction is durable. If `work` throws, its own statements are undone (a savepoint) and the others of the group are not affected.
   * `work` must await only its own queries, and changes nothing but the store in a way that a second run would not: an engine may undo a whole
   * group and run it again. Throws `authority-missing` where no door has established a caller: then nothing is written.
   */
  async write<T>(work: (trx: WriteTransaction) => Promise<T>): Promise<T> {
    this.assertMayWrite();
    const acting = actingNow();
    if (acting !== undefined) return actOn(acting, work, (attempt) => this.#enqueue(attempt, acting.isAsked));
    if (this.#authority === 'optional') return this.#enqueue(work);
    throw new HubError('authority-missing', 'a write outside of every request: what the hub does for itself says so');
  }

  /**
   * As `write`, for the hub's own work: its jobs, and records that must be written although the authority is gone (a refusal, a used
   * token). No authority is checked.
   */
  async writeAsHub<T>(work: (trx: WriteTransaction) => Promise<T>): Promise<T> {
    return this.#enqueue(actingNow()?.rehearses === true ? undone(work, () => true) : work);
  }

  async #enqueue<T>(work: (trx: WriteTransaction) => Promise<T>, isAsked = false): Promise<T> {
    if (this.#closed) throw new HubError('hub-stopping', 'the store is closed');
    // What this process knows of the store may be wrong now: a start reads it again.
    if (this.#ended !== undefined) throw this.#ended;
    if (this.#queue.length >= QUEUE_MAX)
      throw new HubError('rate-limited', 'the store is not keeping up: try again later');
    return new Promise<T>((resolve, reject) => {
      const acting = actingNow();
      const run = async (trx: WriteTransaction) => {
        await acting?.fence?.(trx);
        const value = await work(trx);
        return () => resolve(value);
      };
      this.#queue.push({ run, fail: reject, isAsked, charge: (milliseconds) => acting?.charge(milliseconds) });
      // The queue serves every request, so it runs as part of none.
      this.#draining ??= runActing(undefined, () => this.#drain());
    });
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      // Lets the requests of this turn of the event loop join the group: a commit waits for the disk, and costs the same for all of them.
      await new Promise<void>((resolve) => setImmediate(resolve));
      await this.#commit(this.#queue.splice(0, GROUP_MAX));
    }
    this.#draining = undefined;
  }

  async #commit(jobs: readonly Job[]): Promise<void> {
    const beganMs = performance.now();
    let done: GroupDone;
    let began = false;
    try {
      if (this.#ended !== undefined) throw this.#ended;
      done = await this.#engine.group((group) => {
        // An engine may run a group again.
        if (began) this.#recorder?.settled(false);
        began = true;
        return this.#run(jobs, group);
      });
      this.#recorder?.settled(true);
      const commitMs = performance.now() - beganMs - done.milliseconds;
      for (const job of jobs) job.charge(commitMs / jobs.length);
    } catch (cause) {
      this.#recorder?.settled(false);
      const error = this.#failureOf(cause);
      for (const job of jobs) job.fail(error);
      return;
    }
    this.#revisions.settle(done.revisions);
    for (const settle of done.settle) settle();
    this.onCommit();
  }

  #failureOf(cause: unknown): HubError {
    if (this.#ended !== undefined) return this.#ended;
    if (cause instanceof OutcomeUnknown) this.#ended = unknownError(cause);
    // Another hub took the store while this one had lost its connection; the store went back; or somebody left in it what acts on rows.
    else if (cause instanceof HubError && endCodes.has(cause.code)) this.#ended = cause;
    if (this.#ended !== undefined) {
      this.onEnded(this.#ended);
      return this.#ended;
    }
    if (cause instanceof HubError && cause.code === 'store-unavailable') return cause;
    if (cause instanceof FencedOut) this.onFenced();
    return failedError(cause);
  }

  async #run(jobs: readonly Job[], group: WriteGroup<Tables>): Promise<GroupDone> {
    const settle: (() => void)[] = [];
    const changed = new Set<string>();
    let milliseconds = 0;
    for (const job of jobs) {
      // A job waits only for its own queries, and these block: the elapsed time is its own work.
      const beganMs = performance.now();
      const outcome = await group.write(async (trx) => {
        const entries = entriesOf(trx);
        const value = await job.run(trx);
        const changes = group.changes();
        if (job.isAsked && changes.length > 0 && entriesOf(trx) === entries) throw entryMissing(changes);
        for (const { table } of changes) changed.add(table);
        if (changes.length > 0) await this.#recorder?.admit(trx, changes);
        return value;
      });
      settle.push(outcome.kind === 'done' ? outcome.value : () => job.fail(outcome.error));
      const jobMs = performance.now() - beganMs;
      milliseconds += jobMs;
      job.charge(jobMs);
    }
    if (this.#recorder?.due() === true) await this.#recorder.record(group.trx);
    return { settle, revisions: await this.#revisions.raise(group.trx, changed), milliseconds };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#draining;
    await this.readApart.destroy();
    // Kysely ends a driver only after its first query, and pages need none.
    await this.#thread.close();
    await this.#engine[Symbol.asyncDispose]();
  }
}

const endCodes: ReadonlySet<string> = new Set(['store-in-use', 'state-refused', 'log-rewritten']);

function unknownError(cause: OutcomeUnknown): HubError {
  const message =
    'whether a change was made is not known, because the connection to the store ended during its commit: the hub changes nothing until it is started again';
  return new HubError('outcome-unknown', message, { cause });
}

function failedError(cause: unknown): HubError {
  if (cause instanceof FencedOut)
    return new HubError('node-ended', 'this node was removed, or another process is this node now: it ends', { cause });
  return new HubError('store-failed', 'the store could not commit', { cause });
}

/** What a group of writes did, if it is committed. */
interface GroupDone {
  /** Each tells the caller of a write how it ended. */
  readonly settle: readonly (() => void)[];
  /** Of the tables that it changed. */
  readonly revisions: ReadonlyMap<string, number>;
  /** The time of its writes, without the commit. */
  readonly milliseconds: number;
}

function entryMissing(changes: readonly RowChange[]): HubError {
  const tables = [...new Set(changes.map(({ table }) => table))].join(', ');
  return new HubError('entry-missing', `a request changed rows of ${tables} without an entry of the log`);
}
