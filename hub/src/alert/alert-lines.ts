// One line in the hub's own log for every opened alert, for people who watch logs and not the API. Read from the store once it is durable,
// so no line reports something that was undone. Every node writes it, whichever node raised the alert.
import type { Kysely } from 'kysely';
import type { Job } from '../common/subject.ts';
import type { Tables } from '../store/schema.ts';
import type { AlertRow } from '../store/tables/alert.ts';

// A person reads these lines.
const everyMs = 1_000;
const linesAtOnce = 100;

export type AlertLine = Pick<AlertRow, 'id' | 'kind' | 'severity' | 'subject' | 'title'>;

export class AlertLines {
  readonly #read: Kysely<Tables>;
  readonly #write: (line: AlertLine) => void;
  #last: number;

  private constructor(read: Kysely<Tables>, write: (line: AlertLine) => void, last: number) {
    this.#read = read;
    this.#write = write;
    this.#last = last;
  }

  /** Begins with alerts that are opened from now on. */
  static async start(read: Kysely<Tables>, write: (line: AlertLine) => void): Promise<AlertLines> {
    const newest = await read.selectFrom('alert').select('id').orderBy('id', 'desc').limit(1).executeTakeFirst();
    return new AlertLines(read, write, newest?.id ?? -1);
  }

  /** If the store cannot be read now, it is read at the next turn; requests report the failure. */
  get job(): Job {
    return {
      name: 'alert-lines',
      summary: "writes a line in the hub's own log for each new alert",
      everyMilliseconds: everyMs,
      runsOn: 'every-node',
      run: () => this.poll(),
    };
  }

  /** Writes the alerts that were opened since the last call. */
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
}
