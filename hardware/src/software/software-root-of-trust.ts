// The root of trust of a device that has nothing better: keys in files, PCRs in a file. It proves possession of the files and nothing
// about what the machine runs; verifiers see its tier and decide whether that is enough.
import { createPublicKey, randomBytes, sign } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type WrappedKey, wrappedKeyHpkeInfo } from '@edgekeep/core/access/wrapped-key';
import { encodeSoftwareStatement } from '@edgekeep/core/attest/evidence';
import { parseBase64url, utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { hpkeOpen } from '@edgekeep/core/identity/hpke';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import type { PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import { bootIdPattern } from '../boot/boot-id.ts';
import { HardwareError } from '../error.ts';
import type { OpenKeyOptions, RootOfTrust, SignedMeasurements, SoftwareIdentity } from '../root-of-trust.ts';
import { Serial } from '../serial.ts';
import { SoftwarePcrBank } from './pcr-bank.ts';
import { loadSoftwareKeys, type SoftwareKeys } from './software-keys.ts';

export interface SoftwareOptions {
  readonly stateFolder: string;
  /** Which boot this is; see boot-id.ts. */
  readonly bootId: string;
}

export class SoftwareRootOfTrust implements RootOfTrust {
  readonly tier = 'software';
  readonly #keys: SoftwareKeys;
  readonly #bank: SoftwarePcrBank;
  readonly #serial = new Serial();

  private constructor(keys: SoftwareKeys, bank: SoftwarePcrBank) {
    this.#keys = keys;
    this.#bank = bank;
  }

  /** Opens the keys in `stateFolder`, or makes them. Throws `software-state-invalid`. */
  static async open({ stateFolder, bootId }: SoftwareOptions): Promise<SoftwareRootOfTrust> {
    if (!bootIdPattern.test(bootId))
      throw new HardwareError('software-state-invalid', `not a boot identifier: ${bootId}`);
    await mkdir(stateFolder, { recursive: true, mode: 0o700 });
    const bank = await SoftwarePcrBank.open(join(stateFolder, 'pcrs'), bootId);
    return new SoftwareRootOfTrust(await loadSoftwareKeys(stateFolder), bank);
  }

  async describe(): Promise<SoftwareIdentity> {
    const signingPublic = createPublicKey(this.#keys.signing).export({ type: 'spki', format: 'der' });
    const encryptionPublic = encodeP256Point(createPublicKey(this.#keys.encryption));
    return { tier: 'software', signingPublic, encryptionPublic };
  }

  async random(length: number): Promise<Uint8Array> {
    return randomBytes(length);
  }

  extend(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#serial.run(() => this.#bank.extend(pcr, digest));
  }

  readPcrs(selection: PcrSelection): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#serial.run(async () => this.#values(selection));
  }

  attest(qualifyingData: Uint8Array, selection: PcrSelection): Promise<SignedMeasurements> {
    return this.#serial.run(async () => {
      const statement = encodeSoftwareStatement({ qualifyingData, pcrs: this.#values(selection) });
      return { kind: 'software', statement, signature: sign('sha256', statement, this.#keys.signing) };
    });
  }

  async activateCredential(): Promise<Uint8Array> {
    throw new HardwareError('software-unsupported', 'a software root of trust has no endorsement key to activate with');
  }

  async openKey(wrapped: WrappedKey, { leaseId }: OpenKeyOptions = {}): Promise<Uint8Array> {
    if (wrapped.kind !== 'hpke' || leaseId === undefined) {
      throw new HardwareError('wrapped-key-unsupported', 'software opens HPKE keys of a named lease, not import blobs');
    }
    try {
      return hpkeOpen({
        recipientPrivateKey: this.#keys.encryption,
        encapsulatedKey: parseBase64url(wrapped.encapsulatedKey, 'encapsulated key'),
        ciphertext: parseBase64url(wrapped.ciphertext, 'wrapped key'),
        info: utf8(wrappedKeyHpkeInfo),
        aad: utf8(leaseId),
      });
    } catch (cause) {
      if (!(cause instanceof CoreError)) throw cause;
      const message = 'the key was made for another device or lease, or was altered';
      throw new HardwareError('wrapped-key-refused', message, { cause });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#serial.idle();
  }

  #values({ bank, pcrs }: PcrSelection): ReadonlyMap<number, Uint8Array> {
    if (bank !== 'sha256') throw new HardwareError('software-unsupported', `there is no ${bank} bank, only sha256`);
    return new Map(pcrs.map((pcr) => [pcr, this.#bank.value(pcr)]));
  }
}
