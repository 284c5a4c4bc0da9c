// Evidence of this device: the root of trust signs the PCRs over what the verifier wants them bound to, the boot log explains them
// (spec/evidence.md). The purpose is fixed by each caller in this package; nothing from outside chooses it.
import { readFile } from 'node:fs/promises';
import type { SignedLeaseCounter } from '@edgekeep/core/access/lease-counter';
import { type Evidence, encodeEvidence } from '@edgekeep/core/attest/evidence';
import { IMA_EVIDENCE_BYTES_MAX } from '@edgekeep/core/attest/ima-log';
import { qualifyingData, type QualifyingPurpose } from '@edgekeep/core/attest/qualifying-data';
import { IMA_PCR } from '@edgekeep/core/attest/reference-values';
import { HardwareError } from '@edgekeep/hardware/error';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';

export interface ProverParts {
  readonly rootOfTrust: Pick<RootOfTrust, 'attest' | 'certifyLeaseCounter'>;
  /** The whole event log as it is now. */
  readonly eventLog: () => Uint8Array;
  readonly imaLogFile: string | undefined;
}

export class Prover {
  readonly #parts: ProverParts;

  constructor(parts: ProverParts) {
    this.#parts = parts;
  }

  /** `bound` is what the purpose asks for: an SPKI, a TLS exporter, or nothing. */
  async evidence(
    purpose: QualifyingPurpose,
    nonce: Uint8Array,
    bound: Uint8Array,
    pcrs: readonly number[],
  ): Promise<Evidence> {
    const { rootOfTrust, eventLog } = this.#parts;
    const signed = await rootOfTrust.attest(qualifyingData(purpose, nonce, bound), { bank: 'sha256', pcrs: [...pcrs] });
    const log = eventLog();
    if (signed.kind !== 'tpm') return { ...signed, eventLog: log };
    const imaLog = pcrs.includes(IMA_PCR) ? await this.#imaLog() : undefined;
    return { ...signed, eventLog: log, ...(imaLog === undefined ? {} : { imaLog }) };
  }

  /** The lease counter, signed for the ask that the release evidence is for; undefined where this hardware keeps none. */
  async leaseCounter(nonce: Uint8Array, exporter: Uint8Array): Promise<SignedLeaseCounter | undefined> {
    try {
      return await this.#parts.rootOfTrust.certifyLeaseCounter?.(qualifyingData('release', nonce, exporter));
    } catch (error) {
      // Whether it goes without is for the hub to say.
      if (error instanceof HardwareError && error.code === 'lease-counter-unusable') return undefined;
      throw error;
    }
  }

  // Not readable, or grown beyond what a verifier reads: sent without, and the verifier says what is missing.
  async #imaLog(): Promise<Uint8Array | undefined> {
    const { imaLogFile } = this.#parts;
    if (imaLogFile === undefined) return undefined;
    // As said above: the verifier sees that it is missing.
    const bytes = await readFile(imaLogFile).catch(() => undefined);
    return bytes === undefined || bytes.length > IMA_EVIDENCE_BYTES_MAX ? undefined : bytes;
  }
}

/** Evidence as it stands inside another JSON document. */
export function evidenceDocument(evidence: Evidence): object {
  const document: object = JSON.parse(Buffer.from(encodeEvidence(evidence)).toString('utf8'));
  return document;
}
