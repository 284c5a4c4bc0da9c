// Numbers in hex: serial numbers of certificates and SHA-256 fingerprints, as openssl, browsers and this product show them.

/**
 * Lower-case hex of a certificate's serial number, without colons, spaces and leading zeros; undefined for anything but a number of at most
 * 20 octets.
 */
export function canonicalSerialNumber(text: string): string | undefined {
  const digits = hexDigits(text)?.replace(/^0+(?=.)/, '');
  return digits === undefined || digits.length > 40 ? undefined : digits;
}

/** Lower-case hex of 32 bytes, without colons and spaces; undefined for anything else. */
export function canonicalSha256(text: string): string | undefined {
  const digits = hexDigits(text);
  return digits?.length === 64 ? digits : undefined;
}

// Separators are between whole octets, or absent.
function hexDigits(text: string): string | undefined {
  if (/^[0-9a-fA-F]{2}(?:[: ][0-9a-fA-F]{2})+$/.test(text)) return text.replaceAll(/[: ]/g, '').toLowerCase();
  return /^[0-9a-fA-F]+$/.test(text) ? text.toLowerCase() : undefined;
}
