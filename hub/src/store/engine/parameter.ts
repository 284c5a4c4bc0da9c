// The values that a query may have as parameters, on every engine.
export type Parameter = null | number | bigint | string | Uint8Array;

/** Throws for a value of another type. */
export function asParameter(value: unknown): Parameter {
  if (value === null || typeof value === 'number' || typeof value === 'bigint' || typeof value === 'string')
    return value;
  if (value instanceof Uint8Array) return value;
  throw new TypeError(`a ${typeof value} is no SQL value here: convert it first`);
}
