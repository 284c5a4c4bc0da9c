// What a device asks for is part of what its root of trust signs (spec/evidence.md, purpose `release` v2), and so is what the hub offers: the
// end of its nonce says that it makes bound wraps, as TLS 1.3 says in ServerHello.random what it supports. Nobody between them can bring both
// back to the form before.
import { createHash } from 'node:crypto';
import { concat, equalBytes, utf8 } from '../bytes.ts';
import { encodeCanonicalJson } from '../json.ts';

export interface ReleaseAskTerms {
  readonly model: string;
  readonly version: string;
  /** The types of wrapped keys that the device reads. */
  readonly wraps: readonly string[];
}

/** The last bytes of the nonce of a hub that makes bound wraps. */
const mark = utf8('ekwrap02');

/** A nonce of this hub; `random` are 24 random bytes. */
export function markedNonce(random: Uint8Array): Uint8Array {
  if (random.length !== MARKED_NONCE_RANDOM_LENGTH) {
    throw new TypeError(`a nonce has ${MARKED_NONCE_RANDOM_LENGTH} random bytes before its mark`);
  }
  return concat(random, mark);
}

export const MARKED_NONCE_RANDOM_LENGTH = 24;

export function offersBoundWraps(nonce: Uint8Array): boolean {
  return equalBytes(nonce.subarray(-mark.length), mark);
}

/** What the evidence of a release v2 is bound to besides the nonce: the connection, and everything that is asked for. */
export function boundToAsk(exporter: Uint8Array, { model, version, wraps }: ReleaseAskTerms): Uint8Array {
  const ask = encodeCanonicalJson({ model, version, wraps: [...wraps] });
  return concat(exporter, createHash('sha256').update(ask).digest());
}
