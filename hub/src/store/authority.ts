// The authority that the hub acts on (docs/design/authority-at-the-act.md). The door of a request establishes who asks; every write of that
// request checks it again inside its own transaction. Time passes between the door and the act, and an attacker can make it pass slowly.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import { prepared } from './prepared.ts';
import type { Tables } from './schema.ts';

export interface Authority {
  /** The topic. A request that establishes the same topic twice is checked once. */
  readonly name: string;
  /** Checks again what this authority rests on; throws what the door would throw now. `db` is the transaction that is about to act. */
  stands(db: Kysely<Tables>): Promise<void>;
}

/** Throws where the work that a transaction belongs to may not go on. */
export type Fence = (db: Kysely<Tables>) => Promise<void>;

/** A policy permitted this request something. */
export interface PolicyPermit {
  readonly version: number;
  /** Whether the facts that the policy used are unchanged; left out where the permit has no lasting effect. */
  readonly factsStand?: (db: Kysely<Tables>) => Promise<boolean>;
  /** Asks the policy that is in force now; throws its refusal, or grants a new permit under the same topic. */
  readonly askAgain: () => Promise<void>;
}

// Policies change rarely. A request that meets a new one at every try has met a fault.
const ASKED_AGAIN_MAX = 20;

/** What one request acts on. A door adds authorities and never removes one; the gate adds what the policy permitted. */
export class Acting {
  readonly #authorities = new Map<string, Authority>();
  readonly #permits = new Map<string, PolicyPermit>();
  #charge: (milliseconds: number) => void = () => {};
  #rehearses = false;
  #withWrites: ((db: Kysely<Tables>) => Promise<void>) | undefined;
  /** Asked in each transaction of this work, before anything else. */
  fence: Fence | undefined;
  /** The payer that is charged; the reading thread takes the queries of payers in turn. */
  payer: string | undefined;

  /** The same authority, for a run of which the store keeps nothing. */
  rehearsal(): Acting {
    const copy = new Acting();
    for (const authority of this.#authorities.values()) copy.establish(authority);
    for (const [topic, permit] of this.#permits) copy.permit(topic, permit);
    copy.chargeTo((milliseconds) => this.charge(milliseconds));
    copy.payer = this.payer;
    copy.fence = this.fence;
    copy.#rehearses = true;
    return copy;
  }

  /** Whether every write is undone once it has succeeded. */
  get rehearses(): boolean {
    return this.#rehearses;
  }

  /** Whether a caller asked, and not the hub itself. */
  get isAsked(): boolean {
    return !this.#authorities.has(hubItself.name);
  }

  /** Sets the payer that is charged for the work on this request. */
  chargeTo(charge: (milliseconds: number) => void): void {
    this.#charge = charge;
  }

  charge(milliseconds: number): void {
    this.#charge(milliseconds);
  }

  establish(authority: Authority): void {
    if (!this.#authorities.has(authority.name)) this.#authorities.set(authority.name, authority);
  }

  /** What each write of this request does besides its own work, in the same transaction. */
  withWrites(also: (db: Kysely<Tables>) => Promise<void>): void {
    this.#withWrites = also;
  }

  async writesAlso(db: Kysely<Tables>): Promise<void> {
    await this.#withWrites?.(db);
  }

  /** Replaces an earlier permit of the same topic. */
  permit(topic: string, permit: PolicyPermit): void {
    this.#permits.set(topic, permit);
  }

  /** Checks all of it again, outside of a transaction: for acts that are not writes. */
  async recheck(db: Kysely<Tables>): Promise<void> {
    await this.stands(db);
    for (const { askAgain } of await this.unasked(db)) await askAgain();
  }

  async stands(db: Kysely<Tables>): Promise<void> {
    this.assertEstablished();
    for (const authority of this.#authorities.values()) await authority.stands(db);
  }

  assertEstablished(): void {
    if (this.#authorities.size > 0) return;
    throw new HubError('authority-missing', 'a write of a request whose door has established no authority');
  }

  /** The permits that must be asked for again, because the policy or its facts have changed. */
  async unasked(db: Kysely<Tables>): Promise<readonly PolicyPermit[]> {
    if (this.#permits.size === 0) return [];
    const version = await newestPolicyVersion(db);
    const unasked: PolicyPermit[] = [];
    for (const permit of this.#permits.values()) {
      const stands = permit.version === version && (await permit.factsStand?.(db)) !== false;
      if (!stands) unasked.push(permit);
    }
    return unasked;
  }
}

export async function newestPolicyVersion(db: Kysely<Tables>): Promise<number | null> {
  const [row] = await newestPolicy(db, {});
  return row?.newest ?? null;
}

const newestPolicy = prepared<object, { newest: number | null }>((db) =>
  db.selectFrom('policy').select((q) => q.fn.max('version').as('newest')),
);

const storage = new AsyncLocalStorage<Acting | undefined>();

/** Runs `work` as a part of the request that `acting` belongs to; with undefined, as part of no request. */
export function runActing<T>(acting: Acting | undefined, work: () => T): T {
  return storage.run(acting, work);
}

/** The context of the request that runs now; undefined outside of requests. */
export function actingNow(): Acting | undefined {
  return storage.getStore();
}

/** Called by a door once it knows the caller. Does nothing outside of requests, where nothing is written on a caller's behalf. */
export function establish(authority: Authority): void {
  actingNow()?.establish(authority);
}

/** Ends a rehearsal at its first write, which would have succeeded and was undone. */
class Rehearsed extends Error {
  override readonly name = 'Rehearsed';
}

/**
 * Runs `work` up to its first write, and undoes that one: throws what refuses the request now. Nothing but the store may be changed by `work` before
 * its first write.
 */
export async function rehearse(work: () => Promise<unknown>): Promise<void> {
  const acting = actingNow();
  if (acting === undefined) throw new TypeError('a rehearsal of no request');
  try {
    await runActing(acting.rehearsal(), work);
  } catch (error) {
    if (!(error instanceof Rehearsed)) throw error;
  }
}

/** Makes a write that succeeds fail in the end, so that its statements are undone. */
export function undone<Trx, T>(
  work: (trx: Trx) => Promise<T>,
  isDone: (value: T) => boolean,
): (trx: Trx) => Promise<T> {
  return async (trx) => {
    const value = await work(trx);
    if (isDone(value)) throw new Rehearsed('a rehearsal keeps nothing');
    return value;
  };
}

type Attempt<T> =
  | { readonly kind: 'done'; readonly value: T }
  | { readonly kind: 'ask'; readonly of: readonly PolicyPermit[] };

/**
 * Runs `work` on the authority of the request, in the transactions that `transact` makes. If the policy was replaced since it was asked, or
 * facts that it used have changed, the policy is asked again outside the transaction, and the write is tried again.
 */
export async function actOn<Trx extends Kysely<Tables>, T>(
  acting: Acting,
  work: (trx: Trx) => Promise<T>,
  transact: (attempt: (trx: Trx) => Promise<Attempt<T>>) => Promise<Attempt<T>>,
): Promise<T> {
  acting.assertEstablished();
  const isDone = ({ kind }: Attempt<T>) => kind === 'done';
  for (let asked = 0; asked <= ASKED_AGAIN_MAX; asked += 1) {
    const act = async (trx: Trx): Promise<Attempt<T>> => {
      await acting.stands(trx);
      const unasked = await acting.unasked(trx);
      if (unasked.length > 0) return { kind: 'ask', of: unasked };
      await acting.writesAlso(trx);
      return { kind: 'done', value: await work(trx) };
    };
    const attempt = await transact(acting.rehearses ? undone(act, isDone) : act);
    if (attempt.kind === 'done') return attempt.value;
    for (const { askAgain } of attempt.of) await askAgain();
  }
  throw new HubError('rate-limited', 'the policy, or the facts that it uses, change too fast: try again');
}

const hubItself: Authority = { name: 'hub', stands: () => Promise.resolve() };

/**
 * Runs `work` on the hub's own authority: a job, or a response to an attack, that shares functions with requests. `fence` is asked in each of its
 * transactions, also in those of what it runs as the hub once more.
 */
export function asHub<T>(work: () => T, fence = actingNow()?.fence): T {
  const acting = new Acting();
  acting.establish(hubItself);
  acting.fence = fence;
  return runActing(actingNow()?.rehearses === true ? acting.rehearsal() : acting, work);
}
