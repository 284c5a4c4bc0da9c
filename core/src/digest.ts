// The digest by which records and the store refer to texts: too long for an index, or not to be held.
import { hash } from 'node:crypto';

/** SHA-256 in lower-case hex; of a text its UTF-8. */
export function sha256Hex(value: string | Uint8Array): string {
  return hash('sha256', value, 'hex');
}
