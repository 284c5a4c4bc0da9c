// A client with a token that was accepted here before pays as that token. Every other attempt is charged to its address before the token is
// looked up: an address that guesses uses up its own budget, and takes nothing from other people at that address.
import type { FastifyRequest } from 'fastify';
import { LruMap } from 'toad-cache';
import { sha256Hex } from '@edgekeep/core/digest';
import { authenticate, type Caller } from '../../people/api-token.ts';
import type { Database } from '../../store/database.ts';

const REMEMBERED_MAX = 10_000;
const ATTEMPT_LENGTH_MAX = 200;

export class KnownTokens {
  readonly #database: Database;
  readonly #known = new LruMap<true>(REMEMBERED_MAX);

  constructor(database: Database) {
    this.#database = database;
  }

  /** The caller of a request. Throws `rate-limited`, `token-required` or `token-refused`. */
  async authenticate({ headers, payer }: FastifyRequest, nowMs: number): Promise<Caller> {
    const digest = sha256Hex((headers.authorization ?? '').slice(0, ATTEMPT_LENGTH_MAX));
    if (this.#known.get(digest) === undefined) payer.class.spendRequest(payer.key);
    this.#known.delete(digest);
    const caller = await authenticate(this.#database, headers.authorization, nowMs);
    this.#known.set(digest, true);
    return caller;
  }
}
