// The digest by which the store refers to texts that it must not hold, or that are too long for an index.
import { createHash } from 'node:crypto';

export function sha256Hex(value: string | Uint8Array): string {
  return createHash('sha256').update(value).digest('hex');
}
