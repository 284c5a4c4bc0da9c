// The nesting depth and the number of values of a JSON text, counted chunk by chunk while it arrives. A refused text was never parsed, and
// a few million brackets cost their sender more than us. It checks nothing else.
import { CoreError, type CoreErrorCode } from './error.ts';

export interface JsonLimits {
  readonly depth: number;
  /** Members and elements, including empty arrays and objects. */
  readonly values: number;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;
const openers: ReadonlySet<number> = new Set([0x5b, 0x7b]);
const closers: ReadonlySet<number> = new Set([0x5d, 0x7d]);

export class JsonBounds {
  readonly #limits: JsonLimits;
  readonly #what: string;
  readonly #code: CoreErrorCode;
  #depth = 0;
  #values = 0;
  #members = 0;
  #inString = false;
  #escaped = false;

  constructor(limits: JsonLimits, what: string, code: CoreErrorCode = 'json-invalid') {
    this.#limits = limits;
    this.#what = what;
    this.#code = code;
  }

  /** Members of all objects so far, by the colons between names and values. */
  get members(): number {
    return this.#members;
  }

  /** Throws the code as soon as the text so far is beyond a limit. */
  push(chunk: Uint8Array): void {
    let at = 0;
    while (at < chunk.length) at = this.#inString ? this.#endOfString(chunk, at) : this.#step(chunk, at);
  }

  #step(chunk: Uint8Array, at: number): number {
    const byte = chunk[at] ?? 0;
    if (byte === quote) this.#inString = true;
    else if (byte === comma) this.#count();
    else if (byte === colon) this.#members += 1;
    else if (openers.has(byte)) {
      this.#depth += 1;
      if (this.#depth > this.#limits.depth)
        throw new CoreError(this.#code, `${this.#what}: nested deeper than ${this.#limits.depth} levels`);
      this.#count();
    } else if (closers.has(byte)) this.#depth -= 1;
    return at + 1;
  }

  #count(): void {
    this.#values += 1;
    if (this.#values > this.#limits.values)
      throw new CoreError(this.#code, `${this.#what}: more than ${this.#limits.values} values`);
  }

  // Strings can be megabytes: the search skips them, instead of reading byte by byte.
  #endOfString(chunk: Uint8Array, at: number): number {
    if (this.#escaped) {
      this.#escaped = false;
      return at + 1;
    }
    const found = chunk.indexOf(quote, at);
    const end = found === -1 ? chunk.length : found;
    let slashes = 0;
    while (end - slashes > at && chunk[end - slashes - 1] === backslash) slashes += 1;
    const escapes = slashes % 2 === 1;
    if (found === -1) this.#escaped = escapes;
    else if (!escapes) this.#inString = false;
    return end + 1;
  }
}
