// How many objects, members and lists a JSON text has, counted before it is parsed: ten million empty objects in 32 MiB are a gigabyte when they are
// parsed, and what they are is compared with the limits only afterwards. Follows spec/inference.md section 5.
import { GuardError } from './error.ts';
import { LISTS_MAX, MEMBERS_MAX, OBJECTS_MAX } from './limits.ts';

const quote = 0x22;
const backslash = 0x5c;

/** What begins or joins a value that costs memory of its own, with its limit. */
const counted = [
  { byte: 0x7b, what: 'objects', max: OBJECTS_MAX },
  { byte: 0x3a, what: 'members of objects', max: MEMBERS_MAX },
  { byte: 0x5b, what: 'lists', max: LISTS_MAX },
] as const;

/** @throws GuardError `request-invalid` */
export function assertJsonShape(json: Uint8Array): void {
  // Texts may contain any number of these bytes, so only a request with many of them is read byte by byte.
  for (const { byte, what, max } of counted)
    if (hasMore(json, byte, max) && countOutside(json, byte) > max)
      throw new GuardError(
        'request-invalid',
        `more than ${max} ${what}: send many numbers as one flat list, or as binary data`,
      );
}

function hasMore(bytes: Uint8Array, byte: number, max: number): boolean {
  let count = 0;
  for (let at = bytes.indexOf(byte); at !== -1; at = bytes.indexOf(byte, at + 1)) {
    count += 1;
    if (count > max) return true;
  }
  return false;
}

/** How often a byte is in the text outside its strings. */
function countOutside(json: Uint8Array, byte: number): number {
  let count = 0;
  let inString = false;
  for (let at = 0; at < json.length; at += 1) {
    const here = json[at];
    if (inString) {
      if (here === backslash) at += 1;
      else if (here === quote) inString = false;
    } else if (here === quote) inString = true;
    else if (here === byte) count += 1;
  }
  return count;
}
