// Requests with an Idempotency-Key that were carried out (spec/idempotency-key.md). The record of a key is written in the transaction of the
// request's first change, so that the change is there exactly when the record is.
import { createHash } from 'node:crypto';
import type { Kysely } from 'kysely';
import { utf8 } from '@edgekeep/core/bytes';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { Job, Subject } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { RequestKeyRow } from '../store/tables/people.ts';
import type { Caller } from './api-token.ts';

const KEYS_OF_CALLER_MAX = 10_000;
/** After this time a request without an answer is one that the hub did not finish. */
const UNDER_WAY_SECONDS = 60;
const everyMilliseconds = 600_000;
const REMOVED_AT_ONCE = 1_000;

/** One attempt at a request. */
export interface KeyedRequest {
  /** Hex SHA-256 of the caller and the key. */
  readonly id: string;
  readonly caller: string;
  /** Random: tells this attempt from another one with the same key. */
  readonly request: string;
  /** Hex SHA-256 of method, address and body. */
  readonly fingerprint: string;
}

/** The record of a key of a caller, and the caller as the record names them. */
export function requestKeyId(caller: Pick<Caller, 'person' | 'tokenSha256'>, key: string) {
  const name = caller.person === undefined ? `token:${caller.tokenSha256}` : `person:${caller.person}`;
  const id = createHash('sha256')
    .update(utf8(`edgekeep request key v1\0${name}\0${key}\0`))
    .digest('hex');
  return { id, caller: name };
}

export class RequestKeys implements Subject {
  readonly #database: Database;
  readonly #clock: Clock;
  readonly #keepMs: number;

  constructor(database: Database, clock: Clock, { keepHours }: { readonly keepHours: number }) {
    this.#database = database;
    this.#clock = clock;
    this.#keepMs = keepHours * 3_600_000;
  }

  get jobs(): readonly Job[] {
    return [
      {
        name: 'request-keys',
        summary: 'removes the Idempotency-Keys of requests, with their answers, when their time is over',
        everyMilliseconds,
        runsOn: 'one-node',
        run: () => this.#removeOld(),
      },
    ];
  }

  /** The kept answer, sealed; undefined for a key that has no record. Throws what a repeated request without an answer gets. */
  async answerOf({ id, fingerprint }: KeyedRequest): Promise<Uint8Array | undefined> {
    const row = await this.#find(this.#database.read, id);
    if (row === undefined) return undefined;
    if (row.fingerprint !== fingerprint) throw reused();
    if (row.answer !== null) return row.answer;
    throw this.#unanswered(row);
  }

  /** Records the key, once, in the transaction of a change. Throws where another attempt has recorded it: then this change is undone. */
  async record(trx: Kysely<Tables>, { id, caller, request, fingerprint }: KeyedRequest): Promise<void> {
    const row = await this.#find(trx, id);
    if (row?.request === request) return;
    if (row !== undefined) throw row.fingerprint === fingerprint ? this.#unanswered(row) : reused();
    const nowMs = this.#clock();
    const { count } = await trx
      .selectFrom('request_key')
      .select((q) => q.fn.countAll<number>().as('count'))
      .where('caller', '=', caller)
      .where('begun_at', '>', nowMs - this.#keepMs)
      .executeTakeFirstOrThrow();
    if (count >= KEYS_OF_CALLER_MAX)
      throw new HubError('rate-limited', `${KEYS_OF_CALLER_MAX} Idempotency-Keys of one caller are known already`);
    // One whose time is over, and that the job has not removed yet.
    await trx.deleteFrom('request_key').where('id', '=', id).execute();
    await trx
      .insertInto('request_key')
      .values({ id, caller, request, fingerprint, begun_at: nowMs, answer: null })
      .execute();
  }

  /** Keeps the sealed answer of an attempt that recorded its key; does nothing for one that changed nothing. */
  async keep({ id, request }: KeyedRequest, answer: Uint8Array): Promise<void> {
    await this.#database.writeAsHub(async (trx) => {
      await trx
        .updateTable('request_key')
        .set({ answer })
        .where('id', '=', id)
        .where('request', '=', request)
        .execute();
    });
  }

  async #find(db: Kysely<Tables>, id: string): Promise<RequestKeyRow | undefined> {
    return db
      .selectFrom('request_key')
      .selectAll()
      .where('id', '=', id)
      .where('begun_at', '>', this.#clock() - this.#keepMs)
      .executeTakeFirst();
  }

  #unanswered({ begun_at: begunAt, answer }: RequestKeyRow): HubError {
    if (answer === null && this.#clock() - begunAt >= UNDER_WAY_SECONDS * 1_000) {
      const message =
        'a request with this Idempotency-Key was carried out, and its answer is not kept: read what it changed';
      return new HubError('request-repeated', message);
    }
    const message = 'a request with this Idempotency-Key is under way: send it again for its answer';
    return new HubError('request-under-way', message, { retryAfterSeconds: 1 });
  }

  async #removeOld(): Promise<void> {
    for (;;) {
      const removed = await this.#database.writeAsHub(async (trx) => {
        const old = await trx
          .selectFrom('request_key')
          .select('id')
          .where('begun_at', '<=', this.#clock() - this.#keepMs)
          .limit(REMOVED_AT_ONCE)
          .execute();
        const ids = old.map(({ id }) => id);
        if (ids.length > 0) await trx.deleteFrom('request_key').where('id', 'in', ids).execute();
        return ids.length;
      });
      if (removed < REMOVED_AT_ONCE) return;
    }
  }
}

function reused(): HubError {
  return new HubError('request-key-reused', 'this Idempotency-Key belongs to another request: make a new key');
}
