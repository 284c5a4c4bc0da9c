// One line in the hub's own log for every alert that is opened, for whoever watches logs and not the API. Read from the store once it is
// durable, so no line tells of what was undone; every node writes it, whichever raised the alert.
import type { Kysely } from 'kysely';
import type { AlertRow, Tables } from '../store/schema.ts';

// A person reads these lines.
const everyMs = 1_000;
const linesAtOnce = 100;

export type AlertLine = Pick<AlertRow, 'id' | 'kind' | 'severity' | 'subject' | 'title'>;

export class AlertLines {
  readonly #read: Kysely<Tables>;
  readonly #write: (line: AlertLine) => void;
  readonly #timer: NodeJS.Timeout;
  #last: number;

  private constructor(read: Kysely<Tables>, write: (line: AlertLine) => void, last: number) {
    this.#read = read;
    this.#write = write;
    this.#last = last;
    // A store that cannot be read now is read at the next turn; requests say that it cannot.
    this.#timer = setInterval(() => void this.poll().catch(() => undefined), everyMs).unref();
  }

  /** Begins with what is opened from now on. */
  static async start(read: Kysely<Tables>, write: (line: AlertLine) => void): Promise<AlertLines> {
    const newest = await read.selectFrom('alert').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
    return new AlertLines(read, write, newest?.id ?? -1);
  }

  /** Writes what was opened since the last time. */
  async poll(): Promise<void> {
    const rows = await this.#read
      .selectFrom('alert')
      .select(['id', 'kind', 'severity', 'subject', 'title'])
      .where('id', '>', this.#last)
      .orderBy('id')
      .limit(linesAtOnce)
      .execute();
    for (const row of rows) {
      // Another poll under way may have been faster.
      if (row.id <= this.#last) continue;
      this.#last = row.id;
      this.#write(row);
    }
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
