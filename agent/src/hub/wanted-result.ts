// Whether the device should ask the hub for another attestation result although its own is good: somebody relied on the time of it
// (spec/agent.md, "The attestation door"), and it is old.
import type { Attestation } from './attestation.ts';

/** A younger result is good enough. Strangers can cause no more attestations than one in this time. */
const oldSeconds = 300;

export class WantedResult {
  readonly #clock: () => number;
  #isWanted = false;

  /** The clock gives Unix milliseconds. */
  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** Somebody relies on the time of the result. */
  want(): void {
    this.#isWanted = true;
  }

  /** True once for each wish. */
  isDue(attestation: Pick<Attestation, 'result'> | undefined): boolean {
    const isOld = attestation !== undefined && this.#clock() / 1_000 - attestation.result.issuedAt >= oldSeconds;
    const isDue = this.#isWanted && isOld;
    this.#isWanted = false;
    return isDue;
  }
}
