// The root of trust of a device with a secure element behind a PKCS#11 module: its two keys never leave the element, so a copied disk is
// not the device. Software measures what was booted, as on the software tier, and verifiers see that: the element signs what the device's
// software says.
import { join } from 'node:path';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import type { IdevidProof } from '@edgekeep/core/attest/idevid-proof';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import type { Signer } from '@edgekeep/core/signer';
import type { PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import { HardwareError } from '../error.ts';
import { assertIdevidFor, readIdevidFile } from '../idevid-file.ts';
import type { IdevidHardware, OnboardingIdentity } from '../onboarding.ts';
import type { OpenKeyOptions, RootOfTrust, SecureElementIdentity, SignedMeasurements } from '../root-of-trust.ts';
import { type MeasurementsPlace, SoftwareMeasurements } from '../software/measurements.ts';
import { openWrappedKey } from './key-opening.ts';
import { readKnownKeys, writeKnownKeys } from './known-keys.ts';
import { type IdevidPlace, idevidSigner, readTokenChain, writeTokenChain } from './token-idevid.ts';
import { type TokenPlace, TokenSession } from './token-session.ts';

/** `stateFolder` holds the PCRs and the public keys that the token had first; nothing secret. */
export interface Pkcs11Options extends TokenPlace, MeasurementsPlace {
  /** Where the IDevID is when the token takes no certificates. */
  readonly idevidFile?: string | undefined;
}

export class Pkcs11RootOfTrust implements RootOfTrust, IdevidHardware {
  readonly tier = 'secure-element';
  readonly #token: TokenSession;
  readonly #measured: SoftwareMeasurements;
  readonly #place: IdevidPlace;
  readonly #idevidFile: string | undefined;

  private constructor(
    token: TokenSession,
    measured: SoftwareMeasurements,
    { place, idevidFile }: { readonly place: IdevidPlace; readonly idevidFile: string | undefined },
  ) {
    this.#token = token;
    this.#measured = measured;
    this.#place = place;
    this.#idevidFile = idevidFile;
  }

  /**
   * Opens the keys in the token, or makes them there the first time. Throws `software-state-invalid` for broken files, and every code that
   * begins with `pkcs11`: `pkcs11-token-changed` when the token is not the one of the first time.
   */
  static async open({ stateFolder, bootId, idevidFile, ...place }: Pkcs11Options): Promise<Pkcs11RootOfTrust> {
    const measured = await SoftwareMeasurements.open({ stateFolder, bootId });
    const knownFile = join(stateFolder, 'token-keys');
    const known = await readKnownKeys(knownFile);
    const token = await TokenSession.open(place, known);
    if (known === undefined) await writeKnownKeys(knownFile, token.publicKeys);
    return new Pkcs11RootOfTrust(token, measured, { place, idevidFile });
  }

  async describe(): Promise<SecureElementIdentity> {
    const { signing, agreement } = this.#token.publicKeys;
    return {
      tier: 'secure-element',
      signingPublic: encodeSpki(signing),
      encryptionPublic: encodeP256Point(agreement),
      token: this.#token.description,
    };
  }

  random(length: number): Promise<Uint8Array> {
    return this.#token.random(length);
  }

  extend(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#measured.extend(pcr, digest);
  }

  readPcrs(selection: PcrSelection): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#measured.read(selection);
  }

  attest(qualifyingData: Uint8Array, selection: PcrSelection): Promise<SignedMeasurements> {
    return this.#measured.signed(qualifyingData, selection, (statement) => this.#token.sign(statement));
  }

  async activateCredential(): Promise<Uint8Array> {
    throw new HardwareError('software-unsupported', 'a secure element has no endorsement key to activate with');
  }

  openKey(wrapped: WrappedKey, options: OpenKeyOptions = {}): Promise<Uint8Array> {
    const { agreement: publicKey } = this.#token.publicKeys;
    return openWrappedKey(wrapped, options, { publicKey, agree: (other) => this.#token.agree(other) });
  }

  async idevidSigner(): Promise<Signer> {
    const signer = await idevidSigner(this.#place, { make: true });
    if (signer !== undefined) return signer;
    throw new HardwareError('pkcs11-key-unexpected', 'the token made an IDevID key and does not show it');
  }

  async proveIdevid(message: Uint8Array): Promise<IdevidProof> {
    return { signature: await (await this.idevidSigner()).sign(message) };
  }

  async storeIdevid(chain: readonly Uint8Array[]): Promise<'stored' | 'no-room'> {
    return (await writeTokenChain(this.#place, chain)) ? 'stored' : 'no-room';
  }

  /** Throws `pkcs11-key-unexpected` for an IDevID of another key. */
  async idevid(): Promise<OnboardingIdentity | undefined> {
    const signer = await idevidSigner(this.#place, { make: false });
    if (signer === undefined) return undefined;
    const kept = await readTokenChain(this.#place);
    const chain = kept.length > 0 ? kept : await readIdevidFile(this.#idevidFile);
    if (chain.length === 0) return undefined;
    assertIdevidFor(chain, signer.publicKey, 'pkcs11-key-unexpected');
    return { chain, prove: async (message) => ({ signature: await signer.sign(message) }) };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#measured[Symbol.asyncDispose]();
    await this.#token[Symbol.asyncDispose]();
  }
}
