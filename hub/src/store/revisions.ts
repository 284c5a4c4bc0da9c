// How often each table was changed, so that what was made of its rows is made again. On a store of several nodes the numbers are rows, which a group
// of writes raises together with its changes, and each node looks for those that others raised.
import type { Kysely } from 'kysely';
import type { Tables } from './schema.ts';

/** Tables that other nodes changed. Until `settle` they count as unread. */
export interface Look {
  readonly changed: ReadonlySet<string>;
  readonly settle: () => void;
}

export class Revisions {
  readonly #isShared: boolean;
  readonly #known = new Map<string, number>();
  /** Tables that another node changed as well, between a look and a change of our own. */
  #passed = new Set<string>();

  constructor(isShared: boolean) {
    this.#isShared = isShared;
  }

  /** Rises with each change of one of these tables. */
  of(tables: readonly (keyof Tables)[]): number {
    return tables.reduce((sum, table) => sum + this.#of(table), 0);
  }

  /** The revisions of tables that this group of writes has changed. */
  async raise(trx: Kysely<Tables>, changed: ReadonlySet<string>): Promise<ReadonlyMap<string, number>> {
    if (!this.#isShared || changed.size === 0)
      return new Map([...changed].map((table) => [table, this.#of(table) + 1]));
    const rows = await trx
      .insertInto('table_revision')
      .values([...changed].map((table) => ({ table_name: table, revision: 1 })))
      .onConflict((c) =>
        c.column('table_name').doUpdateSet((q) => ({ revision: q('table_revision.revision', '+', 1) })),
      )
      .returningAll()
      .execute();
    return new Map(rows.map(({ table_name: table, revision }) => [table, revision]));
  }

  /** The group is durable. */
  settle(raised: ReadonlyMap<string, number>): void {
    for (const [table, revision] of raised) {
      if (revision !== this.#of(table) + 1) this.#passed.add(table);
      this.#known.set(table, revision);
    }
  }

  /** What other nodes changed. A lower number is a change too: somebody who writes the database could make nodes deaf with a high one. */
  async look(read: Kysely<Tables>): Promise<Look> {
    const before = new Map(this.#known);
    const rows = await read.selectFrom('table_revision').selectAll().execute();
    const raised = rows.filter(({ table_name: table, revision }) => revision !== (before.get(table) ?? 0));
    const passed = this.#passed;
    const changed = new Set([...passed, ...raised.map(({ table_name: table }) => table)]);
    return {
      changed,
      settle: () => {
        for (const table of passed) this.#passed.delete(table);
        for (const { table_name: table, revision } of raised)
          if (this.#of(table) === (before.get(table) ?? 0)) this.#known.set(table, revision);
      },
    };
  }

  #of(table: string): number {
    return this.#known.get(table) ?? 0;
  }
}
