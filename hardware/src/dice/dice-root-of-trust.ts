// The root of trust of a device whose chip derives keys from what it boots (TCG DICE, spec/dice.md): certificates say which firmware runs,
// the key of the last layer signs, and model keys are sealed to a key derived from it. Stages after the last layer are measured by
// software.
import { createPublicKey, randomBytes, sign } from 'node:crypto';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { deviceIdPosition } from '@edgekeep/core/attest/dice/chain';
import { sealingKeyOf } from '@edgekeep/core/attest/dice/sealing-key';
import { encodeDiceStatement } from '@edgekeep/core/attest/dice-statement';
import { signedStatement } from '@edgekeep/core/attest/evidence';
import { CoreError } from '@edgekeep/core/error';
import { parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { hashOf, signatureAlgorithmOf } from '@edgekeep/core/signer';
import type { PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import { HardwareError } from '../error.ts';
import type { DiceIdentity, OpenKeyOptions, RootOfTrust, SignedMeasurements } from '../root-of-trust.ts';
import { openWithPrivateKey } from '../software/key-opening.ts';
import { type MeasurementsPlace, SoftwareMeasurements } from '../software/measurements.ts';
import type { DiceHandoff } from './handoff.ts';

export class DiceRootOfTrust implements RootOfTrust {
  readonly tier = 'dice';
  readonly #handoff: DiceHandoff;
  readonly #measured: SoftwareMeasurements;

  private constructor(handoff: DiceHandoff, measured: SoftwareMeasurements) {
    this.#handoff = handoff;
    this.#measured = measured;
  }

  /**
   * `place` holds the PCRs, nothing secret. Throws `dice-handoff-invalid` for a chain without layers, `software-state-invalid` for broken
   * PCRs.
   */
  static async open(handoff: DiceHandoff, place: MeasurementsPlace): Promise<DiceRootOfTrust> {
    deviceIdCertificates(handoff);
    return new DiceRootOfTrust(handoff, await SoftwareMeasurements.open(place));
  }

  async describe(): Promise<DiceIdentity> {
    return { tier: 'dice', deviceIdCertificates: deviceIdCertificates(this.#handoff) };
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

  async attest(qualifyingData: Uint8Array, selection: PcrSelection): Promise<SignedMeasurements> {
    const { chain, aliasKey } = this.#handoff;
    const sealingKey = encodeP256Point(createPublicKey(sealingKeyOf(aliasKey)));
    const pcrs = await this.#measured.read(selection);
    const statement = encodeDiceStatement({ qualifyingData, pcrs, sealingKey });
    const hash = hashOf(signatureAlgorithmOf(aliasKey));
    return {
      kind: 'dice',
      chain,
      statement,
      signature: sign(hash, signedStatement({ kind: 'dice', statement }), aliasKey),
    };
  }

  async activateCredential(): Promise<Uint8Array> {
    throw new HardwareError('software-unsupported', 'a DICE device has no endorsement key to activate with');
  }

  async openKey(wrapped: WrappedKey, options: OpenKeyOptions = {}): Promise<Uint8Array> {
    return openWithPrivateKey(wrapped, options, sealingKeyOf(this.#handoff.aliasKey));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#measured[Symbol.asyncDispose]();
  }
}

function deviceIdCertificates({ chain }: DiceHandoff): readonly Uint8Array[] {
  try {
    const at = deviceIdPosition(chain.map((der, at) => parseForeignCertificate(der, `certificate ${at + 1}`)));
    if (at > 0) return chain.slice(at);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HardwareError('dice-handoff-invalid', `DICE: the chain: ${cause.message}`, { cause });
  }
  const message = 'DICE: the chain has no DeviceID certificate with a layer above it: each needs a TcbInfo';
  throw new HardwareError('dice-handoff-invalid', message);
}
