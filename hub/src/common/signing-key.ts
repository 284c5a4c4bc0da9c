// The key by which the hub signs attestation results at a moment: it is replaced while the hub runs (spec/key-list.md).
import type { Signer } from '@edgekeep/core/signer';

export interface SigningKey {
  readonly signer: Signer;
  /** Key identifier, hex (RFC 7093): the name in the header of what it signs. */
  readonly keyId: string;
}
