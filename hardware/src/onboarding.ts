// The identity that a manufacturer gave a device for its whole life (IEEE 802.1AR, spec/manufacture.md): who holds it, and how it is
// stored.
import type { IdevidProof } from '@edgekeep/core/attest/idevid-proof';
import type { Signer } from '@edgekeep/core/signer';

/** An IDevID and its key, in the hardware of a device. */
export interface OnboardingIdentity {
  /** DER: the IDevID, then its issuers, if the device has them. */
  readonly chain: readonly Uint8Array[];
  /** Signs one enrollment's `idevidProofMessage`; a TPM also certifies over its digest that it made the key. */
  prove(message: Uint8Array): Promise<IdevidProof>;
}

/** Hardware on a manufacturing line: it makes the key, and stores the certificate if it has room. */
export interface IdevidHardware {
  /** The P-256 key for the IDevID: made at the first call, the same afterwards. */
  idevidSigner(): Promise<Signer>;
  /** As `prove` of the onboarding identity, before there is a certificate. */
  proveIdevid(message: Uint8Array): Promise<IdevidProof>;
  /** Replaces the stored IDevID and its issuers. `no-room`: the certificate must go into the device's state folder. */
  storeIdevid(chain: readonly Uint8Array[]): Promise<'stored' | 'no-room'>;
}
