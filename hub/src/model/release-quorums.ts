// The largest number of witnesses that a publisher asks for (spec/model-manifest.md, "Release policy"): the log's checkpoints stay open for that many.
import type { Kysely } from 'kysely';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import { releasePolicyOf } from './release-policy.ts';

export class ReleaseQuorums {
  readonly #read: Kysely<Tables>;
  #known: { readonly state: string; readonly largest: number } = { state: '', largest: 0 };

  constructor(read: Kysely<Tables>) {
    this.#read = read;
  }

  /** Of all published releases; 0 where none asks. Read again only when this node or another has published or withdrawn one. */
  async largest(): Promise<number> {
    const [{ published, withdrawn } = { published: 0, withdrawn: 0 }] = await releasesCounted(this.#read, {});
    const state = `${published} ${withdrawn}`;
    if (state === this.#known.state) return this.#known.largest;
    const rows = await this.#read
      .selectFrom('model_release')
      .select(['name', 'version', 'manifest', 'manifest_digest'])
      .where('state', '=', 'published')
      .execute();
    const largest = Math.max(0, ...rows.map((row) => releasePolicyOf(row)?.quorum ?? 0));
    this.#known = { state, largest };
    return largest;
  }
}

const releasesCounted = prepared<object, { published: number; withdrawn: number }>((db) =>
  db
    .selectFrom('model_release')
    .select((q) => [
      q.fn.count<number>('published_at').as('published'),
      q.fn.countAll<number>().filterWhere('state', '=', 'withdrawn').as('withdrawn'),
    ]),
);
