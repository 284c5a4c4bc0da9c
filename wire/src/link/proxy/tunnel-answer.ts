// The head of a proxy's answer to CONNECT (RFC 9112 sections 2 to 5), bounded, its text printable. A body is never read: after a 2xx there is
// none (RFC 9110 section 9.3.6), and after any other answer the connection ends.
import { printableInQuotes } from '@edgekeep/core/canonical/printable';
import { WireError } from '../../error.ts';

/** Interim answers included. */
const HEAD_BYTES_MAX = 16_384;
const REASON_LENGTH_MAX = 200;

export interface AnswerHead {
  readonly status: number;
  /** Status and reason phrase, and the Proxy-Status (RFC 9209) where there is one; printable. */
  readonly reason: string;
  /** The authentication schemes that it asks for. */
  readonly schemes: readonly string[];
  /** Bytes up to the end of the head. */
  readonly length: number;
}

/** Undefined while bytes are missing. Throws `proxy-answer-invalid`. */
export function parseAnswerHead(bytes: Buffer, where: string): AnswerHead | undefined {
  for (let start = 0; ;) {
    const invalid = (problem: string) => new WireError('proxy-answer-invalid', `${where}: ${problem}`);
    const rest = bytes.subarray(start, HEAD_BYTES_MAX);
    assertHttp(rest, invalid);
    const end = endOfHead(rest);
    if (end === undefined) {
      if (bytes.length < HEAD_BYTES_MAX) return undefined;
      throw invalid(`its answer has headers of more than ${HEAD_BYTES_MAX} bytes`);
    }
    const [line = '', ...fields] = rest.toString('latin1', 0, end).split(/\r?\n/);
    const [, digits, phrase = ''] = /^HTTP\/1\.[01] ([1-9]\d\d)(?: (.*))?$/.exec(line) ?? [];
    if (digits === undefined) throw invalid(`its answer does not begin as HTTP/1.1 does: "${shown(line)}"`);
    const status = Number(digits);
    start += end;
    // Interim answers come before the one that counts; 101 is no answer to CONNECT.
    if (status >= 200 || status === 101) return headOf(status, phrase, fields, start);
  }
}

// A server of another protocol is found by its first bytes, and not waited for.
function assertHttp(rest: Buffer, invalid: (problem: string) => WireError): void {
  const begin = rest.toString('latin1', 0, 5);
  if ('HTTP/'.startsWith(begin)) return;
  throw invalid(
    rest[0] === 0x15 || rest[0] === 0x16
      ? 'it answers with TLS: its URL begins with https://'
      : `it does not speak HTTP, it began with "${shown(rest.toString('latin1', 0, 40))}"`,
  );
}

/** After the first empty line; a lone line feed ends a line too (RFC 9112 section 2.2). */
function endOfHead(bytes: Buffer): number | undefined {
  const ends = ['\n\r\n', '\n\n'].flatMap((mark) => {
    const at = bytes.indexOf(mark, 0, 'latin1');
    return at === -1 ? [] : [at + mark.length];
  });
  return ends.length === 0 ? undefined : Math.min(...ends);
}

function headOf(status: number, phrase: string, lines: readonly string[], length: number): AnswerHead {
  const of = (name: string) =>
    lines.flatMap((line) => {
      const colon = line.indexOf(':');
      return line.slice(0, colon).toLowerCase() === name ? [line.slice(colon + 1).trim()] : [];
    });
  const why = of('proxy-status').at(0);
  const schemes = of('proxy-authenticate').flatMap(schemesOf).map(shown);
  const reason = `${status} ${phrase}${why === undefined ? '' : ` (${why})`}`;
  return { status, reason: shown(reason.trim()), schemes: schemes.slice(0, 8), length };
}

// RFC 9110 section 11.6.1: `Negotiate, Basic realm="a, b", charset="UTF-8"` has two challenges.
function schemesOf(value: string): readonly string[] {
  return value
    .replaceAll(/"(?:[^"\\]|\\.)*"/g, '')
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '' && !/^[^\s=]+\s*=/.test(part))
    .map((part) => part.split(/\s/, 1)[0] ?? '');
}

function shown(text: string): string {
  return printableInQuotes(text, REASON_LENGTH_MAX);
}
