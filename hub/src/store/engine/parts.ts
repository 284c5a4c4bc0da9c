// The rows of a long query in parts: one part is in memory, and there is one turn of the event loop for many rows.
import type { Compilable, Kysely } from 'kysely';

const ROWS_AT_ONCE = 1_000;

/** Within a transaction, which asks nothing else until this has ended. */
export async function* partsOf<DB, Row>(trx: Kysely<DB>, query: Compilable<Row>): AsyncGenerator<readonly Row[]> {
  for await (const { rows } of trx.getExecutor().stream<Row>(query.compile(), ROWS_AT_ONCE)) yield rows;
}
