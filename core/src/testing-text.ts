// For tests: any text. fast-check's own unit `binary` first makes a table of all 1,112,064 code points, in each process: a second.
import * as fc from 'fast-check';

const SURROGATES_FROM = 0xd800;
const SURROGATES = 0x800;
const LAST = 0x10ffff - SURROGATES;

/** One code point of Unicode, no surrogate: a `unit` for `fc.string`. It shrinks, and texts such as `__proto__` are made of it, as of `binary`. */
export const anyCharacter: fc.Arbitrary<string> = fc.nat({ max: LAST }).map(
  (at) => String.fromCodePoint(at < SURROGATES_FROM ? at : at + SURROGATES),
  (text) => {
    const code = typeof text === 'string' ? text.codePointAt(0) : undefined;
    if (code === undefined || text !== String.fromCodePoint(code)) throw new TypeError('expected one character');
    if (code < SURROGATES_FROM) return code;
    if (code < SURROGATES_FROM + SURROGATES) throw new TypeError('expected no surrogate');
    return code - SURROGATES;
  },
);
