// What the agent answers to `GET /attest`: evidence over a nonce, with the newest attestation result. The purpose `local` is part of what is
// signed: such evidence is worthless in the hub's protocols.
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { NONCE_LENGTH } from '@edgekeep/core/attest/qualifying-data';
import { toHex } from '@edgekeep/core/bytes';
import type { Prover } from '../attest/attest.ts';

export interface LocalEvidenceDependencies {
  readonly prover: Pick<Prover, 'evidence'>;
  /** The PCRs that a local quote covers: those that the hub asks for, or all of the firmware's and the agent's. */
  readonly pcrs: () => readonly number[];
  /** The newest attestation result, a JWT. */
  readonly attestationResult: () => string | undefined;
}

export interface LocalEvidence {
  readonly nonce: string;
  readonly evidence: object;
  readonly attestationResult: string | null;
}

const noncePattern = new RegExp(`^[0-9a-fA-F]{${2 * NONCE_LENGTH}}$`);
export const nonceExpected = `one nonce of ${NONCE_LENGTH} bytes in hex is expected`;

/** The caller's nonce; undefined where there is not exactly one of the right length. */
export function nonceOf(query: URLSearchParams): Uint8Array | undefined {
  const [nonce, ...more] = query.getAll('nonce');
  return nonce === undefined || more.length > 0 || !noncePattern.test(nonce) ? undefined : Buffer.from(nonce, 'hex');
}

/** Quotes for callers of one listener: a few wait, and each caller that asks for more delays only that listener. */
export class EvidenceMaker {
  readonly #dependencies: LocalEvidenceDependencies;
  readonly #maxWaiting: number;
  #waiting = 0;

  constructor(dependencies: LocalEvidenceDependencies, maxWaiting: number) {
    this.#dependencies = dependencies;
    this.#maxWaiting = maxWaiting;
  }

  /** Undefined when too many wait. */
  async over(nonce: Uint8Array, result = this.#dependencies.attestationResult()): Promise<LocalEvidence | undefined> {
    if (this.#waiting >= this.#maxWaiting) return undefined;
    this.#waiting += 1;
    try {
      const { prover, pcrs } = this.#dependencies;
      const evidence = await prover.evidence('local', nonce, new Uint8Array(0), pcrs());
      return { nonce: toHex(nonce), evidence: evidenceDocument(evidence), attestationResult: result ?? null };
    } finally {
      this.#waiting -= 1;
    }
  }
}
