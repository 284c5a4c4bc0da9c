// Reads that may take long (a filter over the whole fleet, a long list) run in a separate thread with its own connection: the event loop continues
// to serve. One read runs after the other. Each payer has a line, and the lines take turns: a payer who asks for much waits for it, and another waits
// for one read of that payer at most.
import { Worker } from 'node:worker_threads';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type DialectAdapter,
  type Driver,
  Kysely,
  type QueryResult,
} from 'kysely';
import { HubError } from '../common/error.ts';
import { actingNow } from './authority.ts';
import type { Answer, ReadResult, Question } from './reading-thread.ts';
import type { SqlOfEngine } from './engine/engine.ts';
import type { StorePlace } from './engine/place.ts';
import { asParameter } from './engine/parameter.ts';
import type { Tables } from './schema.ts';

const LINE_MAX = 64;
const LINES_MAX = 64;
// What a page leaves behind is collected early: without a limit V8 holds 60 MB more for a thread that keeps 20.
const YOUNG_MEGABYTES_MAX = 8;

interface Waiting {
  readonly question: Question;
  /** Of rows in the form that the caller expects. */
  readonly resolve: (answer: Answer<never>) => void;
  readonly reject: (error: Error) => void;
  readonly charge: (milliseconds: number) => void;
}

/** The thread behind a store; it starts with the first question, and again with the next after a fault. */
export class ReadingThread {
  readonly #place: StorePlace;
  readonly #entry: URL;
  readonly #lines = new Map<string, Waiting[]>();
  #worker: Worker | undefined;
  #asked: Waiting | undefined;
  #closed = false;

  /** `entry` is the file that the thread runs. */
  constructor(place: StorePlace, entry: URL) {
    this.#place = place;
    this.#entry = entry;
  }

  /** Asks for the request that runs now. Throws `rate-limited` when too many of its payer's wait. */
  async ask(question: Question): Promise<Answer<never>> {
    if (this.#closed) throw ended();
    const acting = actingNow();
    const key = acting?.payer ?? '';
    const line = this.#lines.get(key) ?? [];
    if (line.length >= LINE_MAX || (line.length === 0 && this.#lines.size >= LINES_MAX)) {
      const message = 'too many queries over the whole fleet at once: try again';
      throw new HubError('rate-limited', message, { retryAfterSeconds: 1 });
    }
    const answer = await new Promise<Answer<never>>((resolve, reject) => {
      line.push({ question, resolve, reject, charge: (milliseconds) => acting?.charge(milliseconds) });
      this.#lines.set(key, line);
      this.#next();
    });
    if (answer.kind === 'failed') throw new Error(answer.message);
    if (answer.kind === 'refused') throw new HubError(answer.code, answer.message, { reasons: answer.reasons });
    return answer;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#worker?.terminate();
    for (const { reject } of [...this.#lines.values()].flat()) reject(ended());
    this.#lines.clear();
  }

  #next(): void {
    if (this.#asked !== undefined || this.#closed) return;
    const [first] = this.#lines;
    if (first === undefined) return;
    const [key, line] = first;
    const waiting = line.shift();
    // To the end of the lines.
    this.#lines.delete(key);
    if (line.length > 0) this.#lines.set(key, line);
    if (waiting === undefined) return;
    this.#asked = waiting;
    const worker = (this.#worker ??= this.#start());
    worker.ref();
    worker.postMessage(waiting.question, []);
  }

  #answered(settle: (asked: Waiting) => void): void {
    const asked = this.#asked;
    this.#asked = undefined;
    if (asked !== undefined) settle(asked);
    this.#next();
  }

  #start(): Worker {
    const worker = new Worker(this.#entry, {
      workerData: this.#place,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MEGABYTES_MAX },
    });
    worker.on('message', ({ answer, milliseconds }: ReadResult<never>) => {
      // An idle thread keeps no process alive.
      worker.unref();
      this.#answered((asked) => {
        asked.charge(milliseconds);
        asked.resolve(answer);
      });
    });
    // Its `exit` follows.
    worker.on('error', () => {});
    worker.once('exit', () => {
      if (this.#worker === worker) this.#worker = undefined;
      this.#answered(({ reject }) => reject(ended()));
    });
    return worker;
  }
}

/** A connection whose queries run in the thread; it reads only. */
export function openApart(thread: ReadingThread, sql: SqlOfEngine): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => withManyConnections(sql.createAdapter()),
      createDriver: () => new ApartDriver(thread),
      createIntrospector: (db) => sql.createIntrospector(db),
      createQueryCompiler: () => sql.createQueryCompiler(),
    },
  });
}

// Kysely lets callers of SQLite wait for each other without a limit; here they wait for the thread, which has one.
function withManyConnections(adapter: DialectAdapter): DialectAdapter {
  return Object.defineProperty(adapter, 'supportsMultipleConnections', { get: () => true });
}

class ApartDriver implements Driver {
  readonly #thread: ReadingThread;

  readonly beginTransaction = refuse;
  readonly commitTransaction = refuse;
  readonly rollbackTransaction = refuse;

  constructor(thread: ReadingThread) {
    this.#thread = thread;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return {
      executeQuery: async <R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> => {
        const answer = await this.#thread.ask({ kind: 'query', sql, parameters: parameters.map(asParameter) });
        if (answer.kind !== 'rows') throw new TypeError(`a query was answered with ${answer.kind}`);
        return { rows: answer.rows };
      },
      streamQuery() {
        throw new TypeError('long reads give pages, not streams');
      },
    };
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    await this.#thread.close();
  }
}

function ended(): Error {
  return new Error('the thread for long reads has ended');
}

async function refuse(): Promise<void> {
  throw new TypeError('this connection only reads');
}
