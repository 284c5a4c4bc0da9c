// Objects that have one key twice. Readers differ on which of two equal keys wins (RFC 8259 section 4), so what was shown to a person, or signed, can
// be another thing than what is carried out. A parsed value has lost the double: members are counted in the text and in the value.
import { CoreError, type CoreErrorCode } from './error.ts';

interface OpenObject {
  readonly keys: Set<string>;
  awaitsKey: boolean;
}

const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;

/** Throws `code` unless a parsed value has as many members as its text, and names the key that occurs twice. */
export function assertEveryMember(
  parsed: { readonly text: string; readonly value: unknown; readonly members: number },
  what: string,
  code: CoreErrorCode,
): void {
  if (countMembers(parsed.value) !== parsed.members) assertUniqueKeys(parsed.text, what, code);
}

/** Throws `signature-bundle-invalid` when an object in `json` has one key twice. `json` must already have parsed as JSON. */
export function assertUniqueKeys(json: string, what: string, code: CoreErrorCode): void {
  const open: (OpenObject | undefined)[] = [];
  for (const [token] of json.matchAll(tokens)) {
    const object = open.at(-1);
    if (token === '{') open.push({ keys: new Set(), awaitsKey: true });
    else if (token === '[') open.push(undefined);
    else if (token === '}' || token === ']') open.pop();
    else if (object === undefined) continue;
    else if (token === ',') object.awaitsKey = true;
    else if (object.awaitsKey) {
      object.awaitsKey = false;
      const key: unknown = JSON.parse(token);
      if (typeof key !== 'string' || object.keys.has(key)) {
        throw new CoreError(code, `${what}: the key ${token} occurs twice in one object`);
      }
      object.keys.add(key);
    }
  }
}

// Its depth was bounded when it was read.
function countMembers(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const values: readonly unknown[] = Object.values(value);
  return values.reduce<number>(
    (count, each) => count + (typeof each === 'object' ? countMembers(each) : 0),
    Array.isArray(value) ? 0 : values.length,
  );
}
