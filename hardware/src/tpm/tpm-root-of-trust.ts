// The root of trust of a device with a TPM 2.0. Its attestation key is a primary of the endorsement hierarchy: it is made again from its
// template whenever it is needed, so nothing must be stored, and a verifier can compute its qualified name.
import type { KeyObject } from 'node:crypto';
import type { SignedLeaseCounter } from '@edgekeep/core/access/lease-counter';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import { ByteWriter, concat } from '@edgekeep/core/bytes';
import type { IdevidProof } from '@edgekeep/core/attest/idevid-proof';
import type { Signer } from '@edgekeep/core/signer';
import type { Entity } from '@edgekeep/core/tpm/command';
import { activateCredential, quote } from '@edgekeep/core/tpm/commands/attestation';
import { getProperties, properties } from '@edgekeep/core/tpm/commands/capability';
import { getRandom } from '@edgekeep/core/tpm/commands/lifecycle';
import { createPrimary } from '@edgekeep/core/tpm/commands/object';
import { pcrExtend, pcrRead, pcrsPerRead } from '@edgekeep/core/tpm/commands/pcr';
import { equalPcrSelections, type PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import { encodeSizedPublic, publicKeyOf, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import { encodeTpmSignature } from '@edgekeep/core/tpm/signature';
import {
  attestationKeyTemplate,
  type EndorsementKeyKind,
  endorsementKeyPreference,
  endorsementTemplate,
} from '@edgekeep/core/tpm/template';
import { HardwareError } from '../error.ts';
import { assertIdevidFor, readIdevidFile } from '../idevid-file.ts';
import type { IdevidHardware, OnboardingIdentity } from '../onboarding.ts';
import type { LocalSeal, OpenKeyOptions, RootOfTrust, SignedMeasurements, TpmIdentity } from '../root-of-trust.ts';
import { secretFor } from '../wrapped-key-context.ts';
import { Serial } from '@edgekeep/host/serial';
import { readCertificate, readCertificateChain } from './certificate-store.ts';
import { type HierarchyPasswords, TpmClient } from './client.ts';
import { readCondition, type TpmCondition } from './condition.ts';
import { followsTemplate, type LoadedEndorsementKey, loadEndorsementKey, withEndorsementKey } from './endorsement.ts';
import { proveIdevid, readIdevidChain, signWithIdevidKey, withIdevidKey, writeIdevidChain } from './idevid.ts';
import { openImportedKey, refusedAs } from './key-opening.ts';
import { certifyLeaseCounter, countUp } from './lease-counter.ts';
import { sealLocally, unsealLocally } from './local-seal.ts';
import { readPassword } from './password-file.ts';
import { openTransport, type TpmAddress } from './transport.ts';

export interface TpmOptions {
  /** The endorsement key that identifies the device; credentials and model keys are made for it. */
  readonly endorsementKey?: EndorsementKeyKind;
  /** Where the IDevID is when the TPM has no room for it. */
  readonly idevidFile?: string | undefined;
  /** Files with the passwords of hierarchies, where their owner set one. */
  readonly endorsementPasswordFile?: string | undefined;
  readonly ownerPasswordFile?: string | undefined;
}

interface LoadedAttestationKey {
  readonly entity: Entity;
  readonly publicArea: TpmPublic;
}

/** A TPM returns at most one digest's worth of random bytes per command. */
const randomBytesPerCommand = 32;

export class TpmRootOfTrust implements RootOfTrust, IdevidHardware {
  readonly tier = 'tpm';
  readonly #client: TpmClient;
  readonly #passwords: HierarchyPasswords;
  #kind: EndorsementKeyKind;
  readonly #idevidFile: string | undefined;
  readonly #endorsementKeys = new Map<EndorsementKeyKind, LoadedEndorsementKey>();
  #attestationKey: LoadedAttestationKey | undefined;
  /** A TPM has three slots for loaded objects, and each operation here needs up to all of them. */
  readonly #serial = new Serial();

  private constructor(
    client: TpmClient,
    passwords: HierarchyPasswords,
    { endorsementKey = 'rsa-2048', idevidFile }: TpmOptions,
  ) {
    this.#client = client;
    this.#passwords = passwords;
    this.#kind = endorsementKey;
    this.#idevidFile = idevidFile;
  }

  /** Opens the TPM at `address` and unloads what an earlier user left in it. Throws the cause (docs/agent-causes.md) where that fails. */
  static async open(address: TpmAddress, options: TpmOptions = {}): Promise<TpmRootOfTrust> {
    const passwords = await readPasswords(options);
    const client = new TpmClient(await openTransport(address), passwords);
    try {
      await client.flushLeftovers();
    } catch (error) {
      await client[Symbol.asyncDispose]();
      throw error;
    }
    return new TpmRootOfTrust(client, passwords, options);
  }

  /** What keeps this TPM from its work, before anything is asked of it. */
  condition(): Promise<TpmCondition> {
    return this.#serial.run(() => readCondition(this.#client, this.#passwords));
  }

  /** The endorsement keys for which the TPM holds a certificate, the strongest first. */
  certifiedKinds(): Promise<readonly EndorsementKeyKind[]> {
    return this.#serial.run(async () => {
      const found: EndorsementKeyKind[] = [];
      for (const kind of endorsementKeyPreference) {
        const { certificateIndex } = endorsementTemplate(kind);
        if ((await readCertificate(this.#client, certificateIndex)) !== undefined) found.push(kind);
      }
      return found;
    });
  }

  /** Identifies the device by another endorsement key from now on. */
  useEndorsementKey(kind: EndorsementKeyKind): Promise<void> {
    return this.#serial.run(async () => {
      this.#kind = kind;
    });
  }

  describe(): Promise<TpmIdentity> {
    return this.#serial.run(async () => {
      const { kind, publicArea, template } = await this.#endorsementKey(this.#kind);
      const certificate = await readCertificate(this.#client, template.certificateIndex);
      const known = await this.#client.execute(getProperties(properties.manufacturer, 8));
      return {
        tier: 'tpm',
        endorsementKey: {
          kind,
          publicArea: encodeSizedPublic(publicArea),
          ...(certificate === undefined ? {} : { certificate }),
        },
        endorsementChain: await readCertificateChain(this.#client),
        attestationPublic: encodeSizedPublic((await this.#loadAttestationKey()).publicArea),
        manufacturer: manufacturerText(known.get(properties.manufacturer) ?? 0),
        firmwareVersion: firmwareVersion(known),
      };
    });
  }

  random(length: number): Promise<Uint8Array> {
    return this.#serial.run(async () => {
      const parts: Uint8Array[] = [];
      for (let left = length; left > 0;) {
        const part = await this.#client.execute(getRandom(Math.min(left, randomBytesPerCommand)));
        if (part.length === 0) throw new HardwareError('tpm-response-invalid', 'the TPM gave no random bytes');
        parts.push(part);
        left -= part.length;
      }
      return concat(...parts);
    });
  }

  extend(pcr: number, digest: Uint8Array): Promise<void> {
    return this.#serial.run(() => this.#client.execute(pcrExtend(pcr, 'sha256', digest), ['password']));
  }

  readPcrs({ bank, pcrs }: PcrSelection): Promise<ReadonlyMap<number, Uint8Array>> {
    return this.#serial.run(async () => {
      const found = new Map<number, Uint8Array>();
      for (let start = 0; start < pcrs.length; start += pcrsPerRead) {
        const asked = [{ bank, pcrs: pcrs.slice(start, start + pcrsPerRead) }];
        const { selections, values } = await this.#client.execute(pcrRead(asked));
        if (!equalPcrSelections(asked, selections)) {
          throw new HardwareError('tpm-bank-missing', `the TPM does not have the ${bank} PCRs ${pcrs.join(', ')}`);
        }
        for (const [index, value] of values.entries()) found.set(pcrs[start + index] ?? -1, value);
      }
      return found;
    });
  }

  attest(qualifyingData: Uint8Array, selection: PcrSelection): Promise<SignedMeasurements> {
    return this.#serial.run(async () => {
      const { entity } = await this.#loadAttestationKey();
      const signed = await this.#client.execute(quote(entity, qualifyingData, [selection]), ['password']);
      return { kind: 'tpm', quote: signed.attest, signature: encodeTpmSignature(signed.signature) };
    });
  }

  activateCredential(credentialBlob: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array> {
    return this.#serial.run(async () => {
      const attestationKey = await this.#loadAttestationKey();
      const key = await this.#endorsementKey(this.#kind);
      const command = activateCredential(attestationKey.entity, key.entity, credentialBlob, encryptedSecret);
      return refusedAs('tpm-blob-refused', 'the credential was made for other keys, or altered', () =>
        withEndorsementKey(this.#client, key, (authorization) =>
          this.#client.execute(command, ['password', authorization]),
        ),
      );
    });
  }

  openKey(wrapped: WrappedKey, { context }: OpenKeyOptions = {}): Promise<Uint8Array> {
    return this.#serial.run(async () => {
      if (wrapped.kind !== 'tpm-import') {
        throw new HardwareError('wrapped-key-unsupported', `a TPM opens import blobs, not ${wrapped.kind} keys`);
      }
      const parent = await this.#endorsementKey(wrapped.parent ?? 'rsa-2048');
      const sealed = await openImportedKey(this.#client, parent, wrapped);
      return wrapped.type === undefined ? sealed : secretFor(sealed, wrapped.type, context);
    });
  }

  sealLocally(secret: Uint8Array): Promise<LocalSeal> {
    return this.#serial.run(async () => sealLocally(this.#client, await this.#endorsementKey(this.#kind), secret));
  }

  unsealLocally(sealed: LocalSeal): Promise<Uint8Array> {
    return this.#serial.run(async () => unsealLocally(this.#client, await this.#endorsementKey(sealed.parent), sealed));
  }

  certifyLeaseCounter(qualifyingData: Uint8Array): Promise<SignedLeaseCounter> {
    return this.#serial.run(async () => {
      const { entity } = await this.#loadAttestationKey();
      return certifyLeaseCounter(this.#client, entity, qualifyingData);
    });
  }

  endLeases(): Promise<void> {
    return this.#serial.run(() => countUp(this.#client));
  }

  idevidSigner(): Promise<Signer> {
    return this.#serial.run(async () => ({
      algorithm: 'ecdsa-p256-sha256',
      publicKey: await this.#idevidKey(),
      sign: (message) => this.#serial.run(() => signWithIdevidKey(this.#client, message)),
    }));
  }

  async storeIdevid(chain: readonly Uint8Array[]): Promise<'stored' | 'no-room'> {
    const stored = await this.#serial.run(() => writeIdevidChain(this.#client, chain));
    return stored ? 'stored' : 'no-room';
  }

  /** As for the onboarding identity, also before there is a certificate. */
  proveIdevid(message: Uint8Array): Promise<IdevidProof> {
    return this.#serial.run(async () => {
      const { entity } = await this.#loadAttestationKey();
      return proveIdevid(this.#client, entity, message);
    });
  }

  /** Throws `tpm-key-unexpected` for an IDevID of another key. */
  idevid(): Promise<OnboardingIdentity | undefined> {
    return this.#serial.run(async () => {
      const kept = await readIdevidChain(this.#client);
      const chain = kept.length > 0 ? kept : await readIdevidFile(this.#idevidFile);
      if (chain.length === 0) return undefined;
      assertIdevidFor(chain, await this.#idevidKey(), 'tpm-key-unexpected');
      return { chain, prove: (message) => this.proveIdevid(message) };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#serial.run(() => this.#unload());
    } catch {
      // A TPM that no longer answers holds nothing that could be unloaded.
    } finally {
      await this.#client[Symbol.asyncDispose]();
    }
  }

  #idevidKey(): Promise<KeyObject> {
    return withIdevidKey(this.#client, async ({ publicArea }) => publicKeyOf(publicArea));
  }

  async #loadAttestationKey(): Promise<LoadedAttestationKey> {
    if (this.#attestationKey !== undefined) return this.#attestationKey;
    const { handle, publicArea, name } = await this.#client.execute(
      createPrimary('endorsement', attestationKeyTemplate),
      ['password'],
    );
    if (!followsTemplate(publicArea, attestationKeyTemplate)) {
      await this.#client.flush(handle);
      throw new HardwareError('tpm-key-unexpected', 'the TPM made an attestation key that differs from its template');
    }
    this.#attestationKey = { entity: { handle, name }, publicArea };
    return this.#attestationKey;
  }

  async #endorsementKey(kind: EndorsementKeyKind): Promise<LoadedEndorsementKey> {
    const loaded = this.#endorsementKeys.get(kind);
    if (loaded !== undefined) return loaded;
    // At most one endorsement key takes a slot: the attestation key and an imported key need the others.
    for (const other of this.#endorsementKeys.values()) await this.#forget(other);
    const key = await loadEndorsementKey(this.#client, kind);
    this.#endorsementKeys.set(kind, key);
    return key;
  }

  async #forget(key: LoadedEndorsementKey): Promise<void> {
    if (!key.transient) return;
    await this.#client.flush(key.entity.handle);
    this.#endorsementKeys.delete(key.kind);
  }

  async #unload(): Promise<void> {
    for (const key of this.#endorsementKeys.values()) await this.#forget(key);
    if (this.#attestationKey !== undefined) await this.#client.flush(this.#attestationKey.entity.handle);
    this.#attestationKey = undefined;
  }
}

async function readPasswords(options: TpmOptions): Promise<HierarchyPasswords> {
  const { endorsementPasswordFile, ownerPasswordFile } = options;
  return {
    endorsement: endorsementPasswordFile === undefined ? undefined : await readPassword(endorsementPasswordFile),
    owner: ownerPasswordFile === undefined ? undefined : await readPassword(ownerPasswordFile),
  };
}

/** TPM_PT_MANUFACTURER is four ASCII characters, padded with zeros or spaces. */
function manufacturerText(value: number): string {
  return Buffer.from(new ByteWriter().u32(value).finish())
    .toString('latin1')
    .replace(/[^\x20-\x7e]/g, '')
    .trim();
}

function firmwareVersion(known: ReadonlyMap<number, number>): bigint {
  const high = known.get(properties.firmwareVersion1) ?? 0;
  return (BigInt(high) << 32n) | BigInt(known.get(properties.firmwareVersion2) ?? 0);
}
