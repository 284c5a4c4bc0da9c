// Asks the policy again for live connections: at a fixed interval, because some facts change without a request (time, traffic, health), and
// soon after another policy came into force.
import type { Clock } from '../clock.ts';
import type { AccessGate } from '../access/gate.ts';

export class AccessRechecks {
  readonly #gate: Pick<AccessGate, 'recheck'>;
  readonly #clock: Clock;
  readonly #timer: NodeJS.Timeout;
  #running: Promise<void> | undefined;
  #again = false;

  constructor(gate: Pick<AccessGate, 'recheck'>, clock: Clock, everySeconds: number) {
    this.#gate = gate;
    this.#clock = clock;
    this.#timer = setInterval(() => this.soon(), everySeconds * 1_000).unref();
  }

  /** Starts at once, or after the round that is under way. */
  soon(): void {
    this.#again = true;
    this.#running ??= this.#run();
  }

  async #run(): Promise<void> {
    while (this.#again) {
      this.#again = false;
      // If the store cannot be read, no request is served either; the next round tries again.
      await this.#gate.recheck(this.#clock()).catch(() => 0);
    }
    this.#running = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    this.#again = false;
    await this.#running;
  }
}
