// Base64 inside DSSE envelopes and sigstore bundles (DSSE v1.0.2 envelope.md): a reader accepts the standard and the URL-safe
// alphabet, with or without padding. Everything else that decodes to the same bytes is refused.
import { toBase64 } from '../../bytes.ts';
import { CoreError } from '../../error.ts';

/** Either alphabet, padded or not; stray characters and non-zero spare bits throw `encoding-invalid`. */
export function parseEitherBase64(text: string, what: string): Uint8Array {
  const standard = /[-_]/.test(text) ? text.replaceAll('-', '+').replaceAll('_', '/') : text;
  const mixed = standard !== text && /[+/]/.test(text);
  const bytes = Buffer.from(standard, 'base64');
  const canonical = toBase64(bytes);
  if (mixed || (standard !== canonical && standard !== canonical.replace(/=+$/, ''))) {
    throw new CoreError('encoding-invalid', `${what}: expected canonical base64`);
  }
  return bytes;
}
