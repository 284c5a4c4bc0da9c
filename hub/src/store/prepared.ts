// Queries that are built once. Building one and turning it into SQL takes longer than SQLite needs to run it, and what every release of a key asks is
// always the same.
import { type Compilable, type CompiledQuery, type Kysely, type RawBuilder, sql } from 'kysely';
import type { Tables } from './schema.ts';

/** A placeholder in a query for the value of this name. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

/** Runs the query with these values, on the store or in a transaction of it. */
export type Prepared<Values, Row> = (db: Kysely<Tables>, values: Values) => Promise<readonly Row[]>;

/**
 * `build` makes the query with a placeholder where each value comes, and is called once for each connection; what the query is may not depend on
 * anything else. For example:
 *
 *     const byId = prepared<{ id: string }, DeviceRecord>((db, value) => db.selectFrom('device').selectAll().where('id', '=', value('id')));
 *     const [device] = await byId(trx, { id });
 */
export function prepared<Values extends object, Row>(
  build: (
    db: Kysely<Tables>,
    value: <Name extends keyof Values & string>(name: Name) => RawBuilder<Values[Name]>,
  ) => Compilable<Row>,
): Prepared<Values, Row> {
  // A transaction has the adapter of its connection.
  const known = new WeakMap<object, CompiledQuery<Row>>();
  return async (db, values) => {
    const { adapter } = db.getExecutor();
    let query = known.get(adapter);
    if (query === undefined) {
      query = build(db, (name) => sql`${new Placeholder(name)}`).compile();
      known.set(adapter, query);
    }
    const given: ReadonlyMap<string, unknown> = new Map(Object.entries(values));
    const parameters = query.parameters.map((part) => (part instanceof Placeholder ? given.get(part.name) : part));
    const { rows } = await db.executeQuery<Row>({ ...query, parameters });
    return rows;
  };
}
