// Lines of a byte stream, with a limit: never holds more than one line.
import { HubError } from '../common/error.ts';

/** A device with the maximum number of tags stays below this. */
const LINE_BYTES_MAX = 65_536;

/** Lines without their ends (LF, or CR LF). Throws `payload-too-large` for a line over its limit. */
export async function* linesOf(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = new Uint8Array(0);
  for await (const chunk of source) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end !== -1; end = chunk.indexOf(0x0a, from)) {
      yield lineOf(rest, chunk.subarray(from, end));
      rest = new Uint8Array(0);
      from = end + 1;
    }
    rest = lineOf(rest, chunk.subarray(from), false);
  }
  if (rest.length > 0) yield lineOf(rest, new Uint8Array(0));
}

function lineOf(start: Uint8Array, end: Uint8Array, complete = true): Uint8Array<ArrayBuffer> {
  if (start.length + end.length > LINE_BYTES_MAX) {
    throw new HubError('payload-too-large', `a line of more than ${LINE_BYTES_MAX} bytes`);
  }
  const line = new Uint8Array(start.length + end.length);
  line.set(start);
  line.set(end, start.length);
  return complete && line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
}
