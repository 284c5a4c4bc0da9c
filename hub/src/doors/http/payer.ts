// Who pays for a request: a bound device, an API token, or an address (the first 64 bits of an IPv6 address). Requests, bytes of bodies and
// concurrent work are counted by payer, before anything is read or done, so that no payer takes what others need.
import { Budgets } from '../../common/budget.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import { ConcurrencyLimiter } from './concurrency-limiter.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** Set by the listener before the body is read. */
    payer: Payer;
  }
}

export interface Payer {
  readonly class: PayerClass;
  readonly key: string;
}

export interface PayerLimits {
  readonly requestsPerSecond: number;
  readonly bytesPerSecond: number;
  /** Milliseconds of the hub's work per second; undefined for a class whose requests all cost about the same. */
  readonly workPerSecond: number | undefined;
  /** Requests that are worked on at once; further ones wait for their turn. */
  readonly turns: number;
  /** Bodies that are being read at once. */
  readonly bodies: number;
}

// A burst worth this many seconds passes at once.
const requestBurstSeconds = 10;
const workBurstSeconds = 10;
const bytesBurstSeconds = 4;
// A request starts when the payer has this many milliseconds of work left; the rest of its work may become debt.
const leastWork = 1;

/** The resources that a payer can use up. */
export type Limit = 'requests' | 'work' | 'bytes' | 'bodies' | 'memory';

/** All payers of one kind. A payer of another kind takes nothing from them. */
export class PayerClass {
  readonly #limits: PayerLimits;
  readonly #clock: Clock;
  readonly #room: BodyRoom;
  readonly #requests: Budgets;
  readonly #work: Budgets | undefined;
  readonly #bytes: Budgets;
  readonly #bodies = new Map<string, number>();
  readonly turns: ConcurrencyLimiter;
  /** Requests refused since the start, by the limit that refused them. */
  readonly refused: Record<Limit, number> = { requests: 0, work: 0, bytes: 0, bodies: 0, memory: 0 };
  /** Milliseconds of work since the start, of all payers. */
  workedMs = 0;

  /** `maxBodyBytes` is the largest body of this class: it passes whole, even with a low rate. */
  constructor(limits: PayerLimits, maxBodyBytes: number, room: BodyRoom, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#room = room;
    this.turns = new ConcurrencyLimiter(limits.turns);
    this.#requests = new Budgets({ perSecond: limits.requestsPerSecond, burstSeconds: requestBurstSeconds });
    const { workPerSecond: perSecond } = limits;
    this.#work = perSecond === undefined ? undefined : new Budgets({ perSecond, burstSeconds: workBurstSeconds });
    this.#bytes = new Budgets({
      perSecond: limits.bytesPerSecond,
      burstSeconds: bytesBurstSeconds,
      minBurst: maxBodyBytes,
    });
  }

  /** Throws `rate-limited` when the payer has used up its requests, or the work of earlier requests used up its time. */
  spendRequest(key: string, cost = 1): void {
    const nowMs = this.#clock();
    const workSeconds = this.#work?.secondsUntil(key, nowMs, leastWork) ?? 0;
    if (workSeconds > 0) throw this.#refusal('work', 'the requests before took too much work: slow down', workSeconds);
    if (this.#requests.spend(key, nowMs, cost)) return;
    const seconds = this.#requests.secondsUntil(key, nowMs, cost);
    throw this.#refusal('requests', 'too many requests: slow down', seconds);
  }

  /** Charges work that was done. */
  chargeWork(key: string, milliseconds: number): void {
    this.workedMs += milliseconds;
    this.#work?.charge(key, this.#clock(), milliseconds);
  }

  /** Charges bytes that are discarded; false when the payer has no budget left. */
  spendBytes(key: string, bytes: number): boolean {
    return this.#bytes.spend(key, this.#clock(), bytes);
  }

  /** Makes room for a body of at least this many bytes before the first is read. Throws `rate-limited`. */
  openBody(key: string, declaredBytes: number): BodyAccount {
    const open = this.#bodies.get(key) ?? 0;
    if (open >= this.#limits.bodies) {
      throw this.#refusal('bodies', `more than ${this.#limits.bodies} bodies at once: send one after the other`);
    }
    const account = new BodyAccount(
      (bytes) => this.#take(key, bytes),
      (bytes) => this.#end(key, bytes),
    );
    this.#bodies.set(key, open + 1);
    try {
      account.grow(declaredBytes);
    } catch (error) {
      account[Symbol.dispose]();
      throw error;
    }
    return account;
  }

  #take(key: string, bytes: number): void {
    if (!this.#room.take(bytes)) throw this.#refusal('memory', 'the hub is reading too many bodies: try again');
    if (this.spendBytes(key, bytes)) return;
    this.#room.give(bytes);
    const seconds = this.#bytes.secondsUntil(key, this.#clock(), bytes);
    throw this.#refusal('bytes', 'too many bytes a second: slow down', seconds);
  }

  #refusal(limit: Limit, message: string, seconds = 1): HubError {
    this.refused[limit] += 1;
    return new HubError('rate-limited', message, { retryAfterSeconds: seconds });
  }

  #end(key: string, bytes: number): void {
    this.#room.give(bytes);
    const left = (this.#bodies.get(key) ?? 1) - 1;
    if (left > 0) this.#bodies.set(key, left);
    else this.#bodies.delete(key);
  }
}

/** The room that one body has taken; disposing it gives all of it back. */
class BodyAccount {
  readonly #take: (bytes: number) => void;
  readonly #end: (bytes: number) => void;
  #bytes = 0;

  constructor(take: (bytes: number) => void, end: (bytes: number) => void) {
    this.#take = take;
    this.#end = end;
  }

  /** Makes room for the body up to this length. Throws `rate-limited`. */
  grow(length: number): void {
    if (length <= this.#bytes) return;
    this.#take(length - this.#bytes);
    this.#bytes = length;
  }

  [Symbol.dispose](): void {
    this.#end(this.#bytes);
  }
}

/** Memory for bodies of all payers of a class. Known devices have memory of their own, so that unknown clients do not fill it. */
export class BodyRoom {
  readonly #maxBytes: number;
  #used = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  take(bytes: number): boolean {
    if (this.#used + bytes > this.#maxBytes) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}
