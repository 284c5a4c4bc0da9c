// The root of trust of a device without hardware: keys in files, PCRs in a file. It proves possession of the files and nothing about what
// the machine runs; verifiers see its tier and decide whether that is enough.
import { createPublicKey, randomBytes, sign } from 'node:crypto';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import type { PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import { HardwareError } from '../error.ts';
import type { OpenKeyOptions, RootOfTrust, SignedMeasurements, SoftwareIdentity } from '../root-of-trust.ts';
import { type MeasurementsPlace, SoftwareMeasurements } from './measurements.ts';
import { openWithPrivateKey } from './key-opening.ts';
import { loadSoftwareKeys, type SoftwareKeys } from './software-keys.ts';

export class SoftwareRootOfTrust implements RootOfTrust {
  readonly tier = 'software';
  readonly #keys: SoftwareKeys;
  readonly #measured: SoftwareMeasurements;

  private constructor(keys: SoftwareKeys, measured: SoftwareMeasurements) {
    this.#keys = keys;
    this.#measured = measured;
  }

  /** Opens the keys in `stateFolder`, or makes them. Throws `software-state-invalid`. */
  static async open(place: MeasurementsPlace): Promise<SoftwareRootOfTrust> {
    const measured = await SoftwareMeasurements.open(place);
    return new SoftwareRootOfTrust(await loadSoftwareKeys(place.stateFolder), measured);
  }

  async describe(): Promise<SoftwareIdentity> {
    const signingPublic = encodeSpki(createPublicKey(this.#keys.signing));
    const encryptionPublic = encodeP256Point(createPublicKey(this.#keys.encryption));
    return { tier: 'software', signingPublic, encryptionPublic };
  }

  async random(length: number): Promise<Uint8Array> {
    return randomBytes(length);
  }

  extend(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#measured.extend(pcr, digest);
  }

  readPcrs(selection: PcrSelection): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#measured.read(selection);
  }

  attest(qualifyingData: Uint8Array, selection: PcrSelection): Promise<SignedMeasurements> {
    return this.#measured.signed(qualifyingData, selection, (text) => sign('sha256', text, this.#keys.signing));
  }

  async activateCredential(): Promise<Uint8Array> {
    throw new HardwareError('software-unsupported', 'a software root of trust has no endorsement key to activate with');
  }

  async openKey(wrapped: WrappedKey, options: OpenKeyOptions = {}): Promise<Uint8Array> {
    return openWithPrivateKey(wrapped, options, this.#keys.encryption);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#measured[Symbol.asyncDispose]();
  }
}
