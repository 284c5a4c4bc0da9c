// One JSON message per line, in both directions between agent and guard (spec/guard.md section 5). Messages from a guard may come from an
// attacker, so a line has a length limit from its first byte on: nothing longer is ever held in memory.
import { CoreError } from '../error.ts';

const lineFeed = 0x0a;

/** The longest line from a guard: totals and a failure's text need a tenth of it. */
export const REPORT_BYTES_MAX = 16 * 1024;
/** The longest line to a guard: guard settings with ten thousand labels of 256 characters. */
export const ORDER_BYTES_MAX = 16 * 1024 * 1024;

/** Cuts a stream into lines. */
export class LineReader {
  readonly #maxBytes: number;
  #held: Uint8Array = new Uint8Array(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of a line that has not ended yet. */
  get pending(): number {
    return this.#held.length;
  }

  /** The lines that `chunk` completes, without their line feeds; throws CoreError `bytes-too-long` for a line over the limit. */
  read(chunk: Uint8Array): readonly string[] {
    const lines: string[] = [];
    let rest = chunk;
    for (let end = rest.indexOf(lineFeed); end !== -1; end = rest.indexOf(lineFeed)) {
      lines.push(this.#line(rest.subarray(0, end)));
      rest = rest.subarray(end + 1);
    }
    this.#assertFits(rest.length);
    if (rest.length > 0) this.#held = concatenate(this.#held, rest);
    return lines;
  }

  #line(end: Uint8Array): string {
    this.#assertFits(end.length);
    const bytes = concatenate(this.#held, end);
    this.#held = new Uint8Array(0);
    return new TextDecoder().decode(bytes);
  }

  #assertFits(more: number): void {
    const length = this.#held.length + more;
    if (length > this.#maxBytes)
      throw new CoreError('bytes-too-long', `a line of ${length} bytes or more, at most ${this.#maxBytes} are read`);
  }
}

function concatenate(first: Uint8Array, second: Uint8Array): Uint8Array {
  const whole = new Uint8Array(first.length + second.length);
  whole.set(first);
  whole.set(second, first.length);
  return whole;
}

/** The value of a line; undefined when it is not JSON, which no schema accepts. */
export function parseLine(line: string): unknown {
  try {
    const value: unknown = JSON.parse(line);
    return value;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

export function encodeLine(value: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(value)}\n`);
}
