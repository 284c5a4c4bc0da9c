// Measurements of a device without a TPM: PCRs in a file of its state folder, and statements about them signed by its own key. Every root
// of trust below a TPM uses this; they differ in the place of the key.
import { makeFolder } from '@edgekeep/host/make-folder';
import { join } from 'node:path';
import { encodeSoftwareStatement, signedStatement } from '@edgekeep/core/attest/evidence';
import type { PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import { bootIdPattern } from '../boot/boot-id.ts';
import { HardwareError } from '../error.ts';
import type { SignedMeasurements } from '../root-of-trust.ts';
import { Serial } from '@edgekeep/host/serial';
import { SoftwarePcrBank } from './pcr-bank.ts';

export interface MeasurementsPlace {
  /** Made if it does not exist, for its owner only. */
  readonly stateFolder: string;
  /** This boot; see boot-id.ts. */
  readonly bootId: string;
}

export class SoftwareMeasurements {
  readonly #bank: SoftwarePcrBank;
  readonly #serial = new Serial();

  private constructor(bank: SoftwarePcrBank) {
    this.#bank = bank;
  }

  /** Throws `software-state-invalid`. */
  static async open({ stateFolder, bootId }: MeasurementsPlace): Promise<SoftwareMeasurements> {
    if (!bootIdPattern.test(bootId))
      throw new HardwareError('software-state-invalid', `not a boot identifier: ${bootId}`);
    await makeFolder(stateFolder, { mode: 0o700 });
    return new SoftwareMeasurements(await SoftwarePcrBank.open(join(stateFolder, 'pcrs'), bootId));
  }

  extend(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#serial.run(() => this.#bank.extend(pcr, digest));
  }

  read(selection: PcrSelection): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#serial.run(async () => this.#values(selection));
  }

  /** The selected values with `qualifyingData`, signed by `sign`: a DER ECDSA P-256 SHA-256 signature over it with its context string. */
  signed(
    qualifyingData: Uint8Array,
    selection: PcrSelection,
    sign: (signed: Uint8Array) => Uint8Array | Promise<Uint8Array>,
  ): Promise<SignedMeasurements> {
    return this.#serial.run(async () => {
      const statement = encodeSoftwareStatement({ qualifyingData, pcrs: this.#values(selection) });
      return { kind: 'software', statement, signature: await sign(signedStatement({ kind: 'software', statement })) };
    });
  }

  /** Resolves when operations under way have ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#serial.idle();
  }

  #values({ bank, pcrs }: PcrSelection): ReadonlyMap<number, Uint8Array> {
    if (bank !== 'sha256') throw new HardwareError('software-unsupported', `there is no ${bank} bank, only sha256`);
    return new Map(pcrs.map((pcr) => [pcr, this.#bank.value(pcr)]));
  }
}
