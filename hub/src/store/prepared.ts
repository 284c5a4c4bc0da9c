// Queries that are built once. Building one and turning it into SQL takes longer than SQLite needs to run it, and what every release of a key asks is
// always the same.
import {
  type Compilable,
  type CompiledQuery,
  type Kysely,
  type KyselyPlugin,
  type LimitNode,
  OperationNodeTransformer,
  type RawBuilder,
  sql,
  ValueNode,
} from 'kysely';
import { directOf } from './engine/direct.ts';
import type { Tables } from './schema.ts';

/** A placeholder in a query for the value of this name. */
class Placeholder {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

// A constant limit is part of the text: where it is a parameter, SQLite plans the query again each time.
class LimitsInText extends OperationNodeTransformer {
  protected override transformLimit(node: LimitNode): LimitNode {
    const { limit } = node;
    return ValueNode.is(limit) && typeof limit.value === 'number'
      ? { ...node, limit: ValueNode.createImmediate(limit.value) }
      : node;
  }
}

const transformer = new LimitsInText();
const limitsInText: KyselyPlugin = {
  transformQuery: ({ node }) => transformer.transformNode(node),
  transformResult: async ({ result }) => result,
};

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
      query = build(db.withPlugin(limitsInText), (name) => sql`${new Placeholder(name)}`).compile();
      known.set(adapter, query);
    }
    const parameters = query.parameters.map((part): unknown =>
      part instanceof Placeholder ? Reflect.get(values, part.name) : part,
    );
    const direct = directOf(db);
    if (direct !== undefined) return direct.rows(query, parameters);
    const { rows } = await db.executeQuery<Row>({ ...query, parameters });
    return rows;
  };
}
