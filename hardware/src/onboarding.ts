// The identity a manufacturer gave a device for life (IEEE 802.1AR, spec/manufacture.md): who holds it, and how it gets there.
import type { IdevidProof } from '@edgekeep/core/attest/idevid-proof';
import type { Signer } from '@edgekeep/core/signer';

/** An IDevID and its key, where they are in the hardware of a device. */
export interface OnboardingIdentity {
  /** DER: the IDevID, then its issuers as far as the device has them. */
  readonly chain: readonly Uint8Array[];
  /** Signs one enrollment's `idevidProofMessage`; a TPM also certifies over its digest that it made the key. */
  prove(message: Uint8Array): Promise<IdevidProof>;
}

/** Hardware on a manufacturing line: a key is born in it, and it keeps the certificate if it has room. */
export interface IdevidHardware {
  /** The P-256 key for the IDevID: the same each time; made the first time. */
  idevidSigner(): Promise<Signer>;
  /** What the onboarding identity's `prove` gives, before there is a certificate. */
  proveIdevid(message: Uint8Array): Promise<IdevidProof>;
  /** Puts an IDevID and its issuers in the place of what was there. `no-room`: the certificate belongs into the device's state folder. */
  storeIdevid(chain: readonly Uint8Array[]): Promise<'stored' | 'no-room'>;
}
