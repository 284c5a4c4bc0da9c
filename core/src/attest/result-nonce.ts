// The nonce of evidence that nobody asked for with one of their own (spec/agent.md, "The attestation door"): it follows from a signed
// attestation result, which has a time. Nobody knew the result before, so the evidence is not older than it.
import { createHash } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';

const text = 'edgekeep-result-nonce-v1';

/** 32 bytes; `token` is the result, a JWT. */
export function resultNonce(token: string): Uint8Array {
  return createHash('sha256')
    .update(concat(utf8(text), Uint8Array.of(0), utf8(token)))
    .digest();
}
