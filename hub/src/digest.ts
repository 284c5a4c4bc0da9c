// The digest by which the store knows what it must not hold, or what is too long for an index.
import { createHash } from 'node:crypto';

export function sha256Hex(value: string | Uint8Array): string {
  return createHash('sha256').update(value).digest('hex');
}
