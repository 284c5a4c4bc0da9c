// One query on a connection to PostgreSQL. The hub has a fixed set of queries: the server parses and plans each once for a connection.
import type { CompiledQuery, QueryResult } from 'kysely';
import type { ClientBase } from 'pg';
import { asParameter } from './parameter.ts';

// Further ones are planned each time: this only limits a mistake.
const STATEMENTS_MAX = 500;
// A longer one is a list of values, and another length is another text.
const TEXT_MAX = 4_000;

/** The statements that a connection knows by name. */
class Names {
  readonly #names = new Map<string, string>();

  of(sql: string): string | undefined {
    const name = this.#names.get(sql);
    if (name !== undefined || this.#names.size >= STATEMENTS_MAX || sql.length > TEXT_MAX) return name;
    const given = `s${this.#names.size}`;
    this.#names.set(sql, given);
    return given;
  }
}

const namesOf = new WeakMap<ClientBase, Names>();

export type Question = Pick<CompiledQuery, 'sql' | 'parameters'>;

/** Throws for values that the store does not take, before anything is sent: such a query fails alone, and not its connection or transaction. */
export function checked({ sql, parameters }: Question): Question {
  return { sql, parameters: parameters.map(asParameter) };
}

/**
 * `planned` has the server keep the plan. Not for migrations: they change the schema, after which a plan may be another, and Kysely asks for the
 * tables with values of more types.
 */
export async function runQuery<Row>(
  client: ClientBase,
  { sql, parameters }: Question,
  planned: boolean,
): Promise<QueryResult<Row>> {
  let names = namesOf.get(client);
  if (names === undefined) namesOf.set(client, (names = new Names()));
  const name = planned ? names.of(sql) : undefined;
  const query = {
    text: sql,
    values: [...parameters],
    ...(name === undefined ? {} : { name }),
  };
  const { rows, rowCount, command } = await client.query<never>(query);
  const changes = command !== 'SELECT' && rowCount !== null;
  return changes ? { rows, numAffectedRows: BigInt(rowCount) } : { rows };
}
