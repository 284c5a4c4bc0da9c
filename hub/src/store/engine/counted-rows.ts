// Numbers rows in memory under the lock of a group of writes, and inserts all of a group with one statement.
import type { NumberedRows, NumberedTable } from './numbered-rows.ts';

type Ask = (sql: string, parameters: readonly unknown[]) => Promise<readonly unknown[]>;

export class CountedRows implements NumberedRows {
  readonly #table: NumberedTable;
  readonly #ask: Ask;
  readonly #written: () => void;
  /** Of the next row; undefined before the first of a group. */
  #next: number | undefined;
  #waiting: (readonly Uint8Array[])[] = [];

  /** `ask` runs a statement in the group that runs now; `written` hears of each row. */
  constructor(table: NumberedTable, ask: Ask, written: () => void) {
    this.#table = table;
    this.#ask = ask;
    this.#written = written;
  }

  async append(values: readonly Uint8Array[]): Promise<number> {
    const number = (this.#next ??= await this.#newest());
    this.#next = number + 1;
    this.#waiting.push(values);
    this.#written();
    return number;
  }

  /** Whether the statement may read rows that wait. */
  isIn(sql: string): boolean {
    return this.#waiting.length > 0 && sql.includes(this.#table.table);
  }

  /** Inserts the rows that wait. */
  async flush(): Promise<void> {
    if (this.#waiting.length === 0) return;
    const { table, number, columns } = this.#table;
    const rows = this.#waiting;
    this.#waiting = [];
    const first = (this.#next ?? 0) - rows.length;
    const names = columns.map((name) => `"${name}"`).join(', ');
    const lists = columns.map((_, at) => `$${at + 2}::bytea[]`).join(', ');
    const sql = `insert into "${table}" ("${number}", ${names}) select $1::bigint + place - 1, ${names} from unnest(${lists}) with ordinality as added (${names}, place)`;
    await this.#ask(sql, [first, ...columns.map((_, at) => rows.map((values) => values[at]))]);
  }

  /** What the group added is undone, or a new group begins. */
  forget(): void {
    this.#next = undefined;
    this.#waiting = [];
  }

  async #newest(): Promise<number> {
    const { table, number } = this.#table;
    const sql = `select coalesce(max("${number}") + 1, 0) as next from "${table}"`;
    const [row] = await this.#ask(sql, []);
    if (typeof row !== 'object' || row === null || !('next' in row) || typeof row.next !== 'number')
      throw new TypeError(`${table} gave no number`);
    return row.next;
  }
}
