// A signed statement must mean the same to every reader, and readers differ on which of two equal keys wins (RFC 8259 section 4).
// OMS statements are not canonical JSON, so duplicates are searched for in the text itself.
import { CoreError } from '../../error.ts';

interface OpenObject {
  readonly keys: Set<string>;
  awaitsKey: boolean;
}

const tokens = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],]/g;

/** Throws `signature-bundle-invalid` when an object in `json` has one key twice. `json` must already have parsed as JSON. */
export function assertUniqueKeys(json: string, what: string): void {
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
        throw new CoreError('signature-bundle-invalid', `${what}: the key ${token} stands twice in one object`);
      }
      object.keys.add(key);
    }
  }
}
