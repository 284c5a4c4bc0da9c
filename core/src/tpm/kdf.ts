// The key derivation functions of TPM 2.0 (Part 1, 11.4.10.2 KDFa and 11.4.10.3 KDFe).
import { createHmac, createSecretKey } from 'node:crypto';
import { ByteWriter, utf8 } from '../bytes.ts';
import { digest, hashSize, type TpmHash } from './algorithm.ts';

/** KDFa, a counter-mode KDF over HMAC (NIST SP 800-108). `bits` is a multiple of 8; `label` is ASCII and gets its terminating zero here. */
export function kdfa(
  hash: TpmHash,
  key: Uint8Array,
  label: string,
  contextU: Uint8Array,
  contextV: Uint8Array,
  bits: number,
): Uint8Array {
  const suffix = new ByteWriter()
    .bytes(utf8(`${label}\0`))
    .bytes(contextU)
    .bytes(contextV)
    .u32(bits)
    .finish();
  // A key object, because node:crypto takes one several times faster than bare bytes.
  const macKey = createSecretKey(key);
  return expand(hash, bits, (counter) => createHmac(hash, macKey).update(counter).update(suffix).digest());
}

/** KDFe, the concatenation KDF over a shared ECDH coordinate (NIST SP 800-56A). `bits` is a multiple of 8. */
export function kdfe(
  hash: TpmHash,
  z: Uint8Array,
  use: string,
  partyU: Uint8Array,
  partyV: Uint8Array,
  bits: number,
): Uint8Array {
  return expand(hash, bits, (counter) => digest(hash, counter, z, utf8(`${use}\0`), partyU, partyV));
}

function expand(hash: TpmHash, bits: number, block: (counter: Uint8Array) => Uint8Array): Uint8Array {
  const length = bits / 8;
  const blocks = new ByteWriter();
  for (let counter = 1; (counter - 1) * hashSize(hash) < length; counter++) {
    blocks.bytes(block(new ByteWriter().u32(counter).finish()));
  }
  return blocks.finish().subarray(0, length);
}
