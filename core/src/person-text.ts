// Text that people wrote in an editor: settings, policies, operator files. Some editors put a byte-order mark before UTF-8, and some shells write
// UTF-16. Signed files and messages of programs are not read by this: for them every byte counts.
import { parseUtf8 } from './bytes.ts';
import { CoreError } from './error.ts';

/** Longer ones first: a mark of UTF-32 begins as one of UTF-16. */
const others = [
  { name: 'UTF-32', mark: [0xff, 0xfe, 0x00, 0x00] },
  { name: 'UTF-32', mark: [0x00, 0x00, 0xfe, 0xff] },
  { name: 'UTF-16', mark: [0xff, 0xfe] },
  { name: 'UTF-16', mark: [0xfe, 0xff] },
] as const;
const utf8Mark = [0xef, 0xbb, 0xbf] as const;

/** The bytes without a mark of UTF-8. Throws `encoding-invalid` for another encoding, which it names, and for a file that lost its content. */
export function personBytes(bytes: Uint8Array, what: string): Uint8Array {
  if (bytes.length === 0) throw new CoreError('encoding-invalid', `${what} is empty: put it back from a copy`);
  if (bytes.every((byte) => byte === 0))
    throw new CoreError(
      'encoding-invalid',
      `${what} holds zeros only, as after a loss of power: put it back from a copy`,
    );
  const begins = (mark: readonly number[]) => mark.every((byte, at) => bytes[at] === byte);
  const other = others.find(({ mark }) => begins(mark))?.name ?? (isWide(bytes) ? 'UTF-16' : undefined);
  if (other !== undefined) throw new CoreError('encoding-invalid', `${what} is ${other}: save it as UTF-8`);
  return begins(utf8Mark) ? bytes.subarray(utf8Mark.length) : bytes;
}

/** The same as text. */
export function personText(bytes: Uint8Array, what: string): string {
  return parseUtf8(personBytes(bytes, what), what);
}

// UTF-16 without a mark: every second byte of Latin text is zero.
function isWide([first, second, third, fourth]: Uint8Array): boolean {
  const isText = (byte: number | undefined) => byte !== undefined && byte !== 0;
  const little = isText(first) && second === 0 && isText(third) && fourth === 0;
  return little || (first === 0 && isText(second) && third === 0 && isText(fourth));
}
