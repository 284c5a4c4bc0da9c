// Reads that may take long (a filter over the whole fleet) run in a separate thread with its own connection: the event loop continues to
// serve. It is a Kysely connection like the others, so its queries are written the same way. One read runs after the other, and a limited
// number wait.
import { once } from 'node:events';
import { MessageChannel, Worker } from 'node:worker_threads';
import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from 'kysely';
import { HubError } from '../error.ts';
import { actingNow } from './authority.ts';
import type { Answered } from './reading-thread.ts';
import type { Tables } from './schema.ts';
import { asInput } from './sqlite.ts';

const WAITING_MAX = 64;

/** A connection to the store at `path` whose queries run in another thread; it reads only. `destroy` ends the thread. */
export function openApart(path: string): Kysely<Tables> {
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new ApartAdapter(),
      createDriver: () => new ApartDriver(path),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new SqliteQueryCompiler(),
    },
  });
}

// Kysely lets callers of SQLite wait for each other without a limit; here they wait for the thread, which has one.
class ApartAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class ApartDriver implements Driver {
  readonly #path: string;
  #worker: Worker | undefined;
  #waiting = 0;

  readonly beginTransaction = refuse;
  readonly commitTransaction = refuse;
  readonly rollbackTransaction = refuse;

  constructor(path: string) {
    this.#path = path;
  }

  async init(): Promise<void> {}

  async acquireConnection(): Promise<DatabaseConnection> {
    return {
      executeQuery: async <R>(query: CompiledQuery) => this.#ask<R>(query),
      streamQuery() {
        throw new TypeError('long reads give pages, not streams');
      },
    };
  }

  async releaseConnection(): Promise<void> {}

  async destroy(): Promise<void> {
    await this.#worker?.terminate();
  }

  async #ask<R>({ sql, parameters }: CompiledQuery): Promise<QueryResult<R>> {
    if (this.#waiting >= WAITING_MAX)
      throw new HubError('rate-limited', 'too many queries over the whole fleet at once: try again', {
        retryAfterSeconds: 1,
      });
    this.#waiting += 1;
    const { port1: answers, port2: port } = new MessageChannel();
    try {
      const worker = (this.#worker ??= this.#start());
      worker.postMessage({ sql, parameters: parameters.map(asInput), port }, [port]);
      // The port closes without a response when the thread ends.
      const ended = once(answers, 'close').then(() => undefined);
      const came: readonly Answered<R>[] | undefined = await Promise.race([once(answers, 'message'), ended]);
      const answered = came?.[0] ?? { error: 'the thread for long reads has ended', milliseconds: 0 };
      actingNow()?.charge(answered.milliseconds);
      if ('rows' in answered) return { rows: answered.rows };
      throw new Error(answered.error);
    } finally {
      this.#waiting -= 1;
      answers.close();
    }
  }

  // Started with the first query. After a fault the next query starts another.
  #start(): Worker {
    const worker = new Worker(new URL('./reading-thread.ts', import.meta.url), { workerData: this.#path });
    const gone = () => {
      if (this.#worker === worker) this.#worker = undefined;
    };
    worker.once('error', gone).once('exit', gone).unref();
    return worker;
  }
}

async function refuse(): Promise<void> {
  throw new TypeError('this connection only reads');
}
