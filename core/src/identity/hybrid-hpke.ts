// HPKE (RFC 9180) with X-Wing as its KEM (MLKEM768-X25519 of draft-ietf-hpke-pq), HKDF-SHA256 and AES-256-GCM, one message (spec/hpke.md,
// "The hybrid suite"). With a `psk` in mode psk: the message opens for nobody who lacks either the key or the psk.
import { xwingDecapsulate, xwingEncapsulate, type XwingPublicKey } from '../post-quantum/xwing.ts';
import { type HpkePsk, openMessage, sealMessage } from './hpke-schedule.ts';
import type { HpkeSealed } from './hpke.ts';

/** As a wrapped key and an audit entry name it. */
export const hybridSuite = 'MLKEM768-X25519' as const;

// draft-ietf-hpke-pq, "HPKE KEM Identifiers".
const kemId = 0x647a;
const none = new Uint8Array(0);

export interface HybridSealInput {
  /** Its bytes; or the parsed key, of a caller that keeps it. */
  readonly recipientPublicKey: Uint8Array | XwingPublicKey;
  readonly info: Uint8Array;
  readonly psk?: HpkePsk | undefined;
  readonly plaintext: Uint8Array;
}

export interface HybridOpenInput extends Pick<HybridSealInput, 'info' | 'psk'> {
  /** The private key, 32 bytes. */
  readonly seed: Uint8Array;
  readonly encapsulatedKey: Uint8Array;
  readonly ciphertext: Uint8Array;
}

/** Throws `key-invalid` for bytes that are no key, `bytes-too-long`. */
export function hybridSeal({ recipientPublicKey, info, psk, plaintext }: HybridSealInput): HpkeSealed {
  const { sharedSecret, encapsulatedKey } = xwingEncapsulate(recipientPublicKey);
  const ciphertext = sealMessage({ kemId, secret: sharedSecret, info, psk }, none, plaintext);
  return { encapsulatedKey, ciphertext };
}

/** The caller zeroes the plaintext. Throws `hpke-open` for any mismatch: key, encapsulated key, info, psk or a changed byte. */
export function hybridOpen({ seed, encapsulatedKey, ciphertext, info, psk }: HybridOpenInput): Uint8Array {
  const secret = xwingDecapsulate(seed, encapsulatedKey);
  return openMessage({ kemId, secret, info, psk }, none, ciphertext);
}
