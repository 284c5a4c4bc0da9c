// The values that a query may have as parameters, on every engine.
import { HubError } from '../../common/error.ts';

export type Parameter = null | number | bigint | string | Uint8Array;

/** Throws for a value of another type; `request-invalid` for a text with U+0000, which PostgreSQL does not store. */
export function asParameter(value: unknown): Parameter {
  if (value === null || typeof value === 'number' || typeof value === 'bigint') return value;
  if (typeof value === 'string') {
    if (!value.includes('\0')) return value;
    throw new HubError('request-invalid', 'a text with the character U+0000 cannot be stored: send it without');
  }
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`a ${typeof value} is no SQL value here: convert it first`);
}
