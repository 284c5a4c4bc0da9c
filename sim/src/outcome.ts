// The outcome of one device of the demo, from its agent's events: serving, or refused and why.
import type { AgentEvent } from '@edgekeep/agent/event';
import type { Progress } from './progress.ts';

/** `serving`, `waiting` while nothing is final, or the code of the refusal (docs/errors.md). */
export type FinalState = string;

// Long enough for a busy machine; a device without an outcome by then has failed.
const patienceMilliseconds = 60_000;

export class Outcome {
  readonly deviceId: string;
  readonly tier: string;
  readonly expected: FinalState;
  readonly settled: Promise<void>;
  /** The socket of the device's model. */
  socketPath = '';
  end: FinalState = 'waiting';
  why = '';
  lease: string | undefined;
  /** The walls that Linux could not provide here for the guard's sandbox. */
  degraded: readonly string[] = [];
  cosigned = 0;
  readonly #progress: Progress;
  readonly #model: string;
  readonly #settle: () => void;

  constructor(deviceId: string, tier: string, expected: FinalState, model: string, progress: Progress) {
    this.deviceId = deviceId;
    this.tier = tier;
    this.expected = expected;
    this.#progress = progress;
    this.#model = model;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    const timer = setTimeout(() => {
      this.why ||= `no outcome within ${patienceMilliseconds / 1_000} s`;
      resolve();
    }, patienceMilliseconds);
    this.#settle = () => {
      clearTimeout(timer);
      resolve();
    };
  }

  get asExpected(): boolean {
    return this.end === this.expected;
  }

  observe(event: AgentEvent): void {
    const line = storyOf(event);
    if (line !== undefined) this.#progress.say(`${this.deviceId.padEnd(17)} ${line}`);
    switch (event.kind) {
      case 'released':
        this.lease = event.lease;
        return;
      case 'cosigned':
        this.cosigned += 1;
        return;
      case 'serving':
        if (event.model !== this.#model) return;
        this.degraded = event.degraded;
        return this.#become('serving', 'attested, key released, model open in memory');
      case 'refused':
        // After a kill -9 the hub still counts the last start as connected. The agent tries again.
        if (event.code === 'identity-in-use') {
          this.why = event.message;
          return;
        }
        return this.#become(event.code, event.reasons[0]?.message ?? event.message);
      case 'recovery':
        return this.#become('recovery', event.why);
      case 'failed':
        this.why ||= `${event.step}: ${event.message}`;
        return;
      default:
        return;
    }
  }

  #become(end: FinalState, why: string): void {
    this.end = end;
    this.why = why;
    this.#settle();
  }
}

// The lines for people; everything else is in the log.
function storyOf(event: AgentEvent): string | undefined {
  switch (event.kind) {
    case 'enrolled':
      return 'enrolled: identity proven, operational certificate issued';
    case 'recovered':
      return 'back after a restart: new certificate against its root of trust';
    case 'attested':
      return `attested: ${event.status} (${event.tier})${event.reasons[0] === undefined ? '' : `: ${event.reasons[0].message}`}`;
    case 'refused':
      return `REFUSED (${event.code}): ${event.reasons[0]?.message ?? event.message}`;
    case 'released':
      return `key of ${event.model} ${event.version} released, lease until ${new Date(event.notAfter * 1_000).toISOString().slice(11, 19)} UTC`;
    case 'serving':
      return `serving ${event.model} ${event.version}${event.guarded ? ' behind its guard' : ''}`;
    case 'recovery':
      return `RECOVERY: ${event.why}`;
    case 'fork-detected':
      return 'the hub’s log forked: nothing more from this hub';
    default:
      return undefined;
  }
}
