// The other forms of a certificate: from an ECDSA signature (r, s) anybody can make (r, n - s), and every reader takes both.
import { toHex } from '../bytes.ts';
import { DerReader, derBitString, derInteger, derSequence, derTag } from '../der.ts';
import { CoreError } from '../error.ts';
import type { Certificate } from './certificate.ts';

// Orders of P-256, P-384 and P-521 (FIPS 186-5, SP 800-186). The issuer's curve is not in the certificate, so each one that fits is tried.
const groupOrders: readonly bigint[] = [
  0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  0x1fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
];

/** The certificate with `n - s` in the place of `s`: another reader takes both. Empty for signatures that have one form. */
export function otherForms({ der, signature, signatureScheme }: Certificate): readonly Uint8Array[] {
  if (signatureScheme.kind !== 'ecdsa') return [];
  const numbers = readNumbers(signature);
  if (numbers === undefined) return [];
  const outer = new DerReader(der, 'certificate').inside();
  const tbs = outer.value(derTag.sequence).whole;
  const algorithm = outer.value(derTag.sequence).whole;
  const { r, s } = numbers;
  return groupOrders
    .filter((order) => s < order)
    .map((order) => derSequence(derInteger(r), derInteger(bytesOf(order - s))))
    .map((form) => derSequence(tbs, algorithm, derBitString(form)));
}

function readNumbers(signature: Uint8Array): { readonly r: Uint8Array; readonly s: bigint } | undefined {
  try {
    const fields = new DerReader(signature, 'ECDSA signature').inside();
    const r = fields.integer();
    const s = BigInt(`0x${toHex(fields.integer())}`);
    fields.end();
    return { r, s };
  } catch (error) {
    // A signature of another form verifies under no key.
    if (!(error instanceof CoreError)) throw error;
    return undefined;
  }
}

function bytesOf(number: bigint): Uint8Array {
  const hex = number.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
