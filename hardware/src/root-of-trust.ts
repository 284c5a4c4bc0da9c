// How a device proves itself: by a TPM, a secure element, the certificates of DICE layers, or keys in a file for a device without hardware.
// The agent sees only this interface.
import type { SignedLeaseCounter } from '@edgekeep/core/access/lease-counter';
import type { WrapContext } from '@edgekeep/core/access/wrap-context';
import type { WrappedKey } from '@edgekeep/core/access/wrapped-key';
import type { EndorsementKeyKind } from '@edgekeep/core/tpm/template';
import type { PcrSelection } from '@edgekeep/core/tpm/pcr-selection';
import type { OnboardingIdentity } from './onboarding.ts';

export interface EndorsementKey {
  readonly kind: EndorsementKeyKind;
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array;
  /** DER, as the TPM keeps it in NV; absent when the manufacturer stored none. */
  readonly certificate?: Uint8Array;
}

export interface TpmIdentity {
  readonly tier: 'tpm';
  /** The key for which credentials and model keys are made. */
  readonly endorsementKey: EndorsementKey;
  /** DER certificates above the endorsement certificate that the TPM carries, leaf's issuer first; often none. */
  readonly endorsementChain: readonly Uint8Array[];
  /** TPM2B_PUBLIC of the attestation key, a primary of the endorsement hierarchy. */
  readonly attestationPublic: Uint8Array;
  /** TPM_PT_MANUFACTURER as text, for example `IBM` or `INTC`. */
  readonly manufacturer: string;
  readonly firmwareVersion: bigint;
}

export interface SoftwareIdentity {
  readonly tier: 'software';
  /** DER SPKI of the P-256 key that signs statements. */
  readonly signingPublic: Uint8Array;
  /** The P-256 HPKE public key as an uncompressed point, 65 bytes (RFC 9180 section 7.1.1). */
  readonly encryptionPublic: Uint8Array;
}

export interface SecureElementIdentity {
  readonly tier: 'secure-element';
  /** As for the software tier; the private halves are in the element. */
  readonly signingPublic: Uint8Array;
  readonly encryptionPublic: Uint8Array;
  /** What the token reports about itself; a claim, for people to read. */
  readonly token: {
    readonly label: string;
    readonly manufacturer: string;
    readonly model: string;
    readonly serialNumber: string;
  };
}

export interface DiceIdentity {
  readonly tier: 'dice';
  /** DER: the certificate of the DeviceID key, then its issuers, if the device has them. */
  readonly deviceIdCertificates: readonly Uint8Array[];
}

export type RootOfTrustIdentity = TpmIdentity | SecureElementIdentity | DiceIdentity | SoftwareIdentity;

export type SignedMeasurements =
  /** TPMS_ATTEST and TPMT_SIGNATURE. */
  | { readonly kind: 'tpm'; readonly quote: Uint8Array; readonly signature: Uint8Array }
  /** Measured by software: canonical JSON `{qualifyingData, pcrs}` and a DER ECDSA P-256 SHA-256 signature over it. */
  | { readonly kind: 'software'; readonly statement: Uint8Array; readonly signature: Uint8Array }
  /** The chain says what runs; the statement, signed by its first key, carries the rest (spec/dice.md). */
  | {
      readonly kind: 'dice';
      readonly chain: readonly Uint8Array[];
      readonly statement: Uint8Array;
      readonly signature: Uint8Array;
    };

/** A secret for the state folder that only this TPM gives back. */
export interface LocalSeal {
  /** The endorsement key under which it is. */
  readonly parent: EndorsementKeyKind;
  /** TPM2B_PUBLIC and TPM2B_PRIVATE for TPM2_Load. */
  readonly publicArea: Uint8Array;
  readonly privateArea: Uint8Array;
  readonly authValue: Uint8Array;
}

export interface OpenKeyOptions {
  /** What the key must be for; a wrapped key with a `type` opens for nothing else. */
  readonly context?: WrapContext;
  /** For a wrapped key without a `type`: the associated data of an HPKE ciphertext. A TPM ignores it. */
  readonly leaseId?: string;
  /** In place of a lease: the id under which a secure element enrolls, for the secret that proves its agreement key. */
  readonly enrolling?: string;
}

export interface RootOfTrust {
  readonly tier: 'tpm' | 'secure-element' | 'dice' | 'software';
  describe(): Promise<RootOfTrustIdentity>;
  random(length: number): Promise<Uint8Array>;
  /** Extends a PCR of the SHA-256 bank with a 32-byte digest. */
  extend(pcr: number, digest: Uint8Array): Promise<void>;
  /** The values of the selected PCRs, by PCR number. Without a TPM only the SHA-256 bank exists. */
  readPcrs(selection: PcrSelection): Promise<ReadonlyMap<number, Uint8Array>>;
  /** Signs the selected PCR values together with `qualifyingData` (at most 32 bytes here). */
  attest(qualifyingData: Uint8Array, selection: PcrSelection): Promise<SignedMeasurements>;
  /**
   * Proves that the attestation key is in the same TPM as the endorsement key: opens a credential (TPM2B_ID_OBJECT, TPM2B_ENCRYPTED_SECRET)
   * made for both. Every other root of trust throws `software-unsupported`.
   */
  activateCredential(credentialBlob: Uint8Array, encryptedSecret: Uint8Array): Promise<Uint8Array>;
  /**
   * The key inside `wrapped`; the caller zeroes it after use. Throws `tpm-policy-refused` when the boot state is not the one that the key
   * is bound to, `tpm-lease-over` when the TPM finds that the lease has ended, `tpm-blob-refused` when it was made for another TPM or
   * altered, `wrapped-key-refused` when it is for something else than `context`.
   */
  openKey(wrapped: WrappedKey, options?: OpenKeyOptions): Promise<Uint8Array>;
  /**
   * The value of the lease counter, signed over `qualifyingData`; absent where the hardware does not end leases. Throws
   * `lease-counter-unusable`.
   */
  certifyLeaseCounter?(qualifyingData: Uint8Array): Promise<SignedLeaseCounter>;
  /** Invalidates all leases in hardware; absent as above. Throws `lease-counter-unusable`. */
  endLeases?(): Promise<void>;
  /** Seals at most 128 bytes for this TPM; absent without one. The secret is not overwritten. */
  sealLocally?(secret: Uint8Array): Promise<LocalSeal>;
  /** The secret; the caller zeroes it. Throws `tpm-blob-refused` for what another TPM sealed, or what was altered. */
  unsealLocally?(sealed: LocalSeal): Promise<Uint8Array>;
  /**
   * The identity from the manufacturer; undefined if there is none, absent where the hardware cannot hold one. Throws `tpm-key-unexpected`
   * or `pkcs11-key-unexpected` for an IDevID of another key.
   */
  idevid?(): Promise<OnboardingIdentity | undefined>;
  [Symbol.asyncDispose](): Promise<void>;
}
