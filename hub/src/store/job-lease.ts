// The lease of the work that one node does for all, and the jobs that other nodes ask the leading one for.
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { WriteTransaction } from './database.ts';
import { prepared } from './prepared.ts';
import type { Tables } from './schema.ts';

export interface LeaseAsk {
  readonly node: string;
  /** The store's own. */
  readonly clock: RawBuilder<number>;
  readonly lifeMs: number;
}

/**
 * Takes or renews the lease, unless another node holds it; gives the term, which rises with each change of the holder. One that ends later than any
 * that is taken now is over: the store's clock was ahead when it was taken, and was set back.
 */
export async function takeLease(trx: WriteTransaction, { node, clock, lifeMs }: LeaseAsk): Promise<number | undefined> {
  const row = { node, expires_at: sql<number>`${clock} + ${sql.lit(lifeMs)}` };
  const taken = await trx
    .insertInto('job_lease')
    .values({ id: 1, term: 1, ...row })
    .onConflict((c) =>
      c
        .column('id')
        .doUpdateSet((q) => ({
          ...row,
          term: q
            .case()
            .when('job_lease.node', '=', node)
            .then(q.ref('job_lease.term'))
            .else(q('job_lease.term', '+', 1))
            .end(),
        }))
        .where((q) =>
          q.or([
            q('job_lease.node', '=', node),
            q('job_lease.expires_at', '<=', clock),
            q('job_lease.expires_at', '>', row.expires_at),
          ]),
        ),
    )
    .returning('term')
    .executeTakeFirst();
  return taken?.term;
}

/** Ends the lease of this node at once. */
export async function endLease(trx: WriteTransaction, node: string): Promise<void> {
  await trx.updateTable('job_lease').set({ expires_at: 0 }).where('node', '=', node).execute();
}

/** Who holds the lease, or held it last. */
export async function leaseHolder(db: Kysely<Tables>): Promise<{ node: string; term: number } | undefined> {
  const [row] = await leaseRow(db, {});
  return row;
}

const leaseRow = prepared<object, { node: string; term: number }>((db) =>
  db.selectFrom('job_lease').select(['node', 'term']).where('id', '=', 1),
);

/** Asks the leading node to run a job; one that was asked for already is asked for once. */
export async function askForJob(trx: WriteTransaction, job: string, node: string): Promise<void> {
  await trx
    .insertInto('job_request')
    .values({ job, node })
    .onConflict((c) => c.column('job').doNothing())
    .execute();
}

/** The jobs that were asked for since the last call. */
export async function takeJobs(trx: WriteTransaction): Promise<readonly string[]> {
  const rows = await trx.deleteFrom('job_request').returning('job').execute();
  return rows.map(({ job }) => job);
}
