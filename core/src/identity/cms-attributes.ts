// CsrAttrs (RFC 7030 section 4.5.2): what an authority would like to have in a certificate request.
import { derOid, derSequence, derSetOf } from '../der.ts';

/** A plain object identifier, or an attribute with values that are object identifiers. */
export type CsrAttribute = string | { readonly oid: string; readonly values: readonly string[] };

/** DER of CsrAttrs. */
export function encodeCsrAttributes(attributes: readonly CsrAttribute[]): Uint8Array {
  const encoded = attributes.map((attribute) =>
    typeof attribute === 'string'
      ? derOid(attribute)
      : derSequence(derOid(attribute.oid), derSetOf(...attribute.values.map((value) => derOid(value)))),
  );
  return derSequence(...encoded);
}
