// JSON at the door: bytes to a typed value or an error. Documents that are signed or hashed are canonical (RFC 8785, the subset without
// non-integer numbers), so one value has one encoding and a duplicate key cannot hide.
import type { ZodType } from 'zod';
import { brokenRule, placeText, ruleWords } from './rule-words.ts';
import { equalBytes, parseUtf8, utf8 } from './bytes.ts';
import { CoreError, type CoreErrorCode } from './error.ts';
import { assertNesting } from './nesting.ts';
import { assertEveryMember } from './unique-keys.ts';

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json | undefined };

/** Canonical JSON: keys sorted by UTF-16 code units, no white space, safe integers only. Keys whose value is undefined are left out. */
export function encodeCanonicalJson(value: Json): Uint8Array {
  const counted = { hasIndex: false };
  const ordered = inOrder(value, counted);
  // A JavaScript object has members whose names are numbers before all others.
  return utf8(counted.hasIndex ? canonicalText(value) : JSON.stringify(ordered));
}

/** The same value with the members of its objects in order: one call of JSON.stringify takes half the time of one for each text. */
function inOrder(value: Json, counted: { hasIndex: boolean }): Json {
  if (typeof value !== 'object' || value === null) return checked(value);
  if (isJsonArray(value)) return value.map((each) => inOrder(each, counted));
  const ordered: Record<string, Json> = {};
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member === undefined) continue;
    if (beginsWithDigit(key) || key === '__proto__') counted.hasIndex = true;
    else ordered[checked(key)] = inOrder(member, counted);
  }
  return ordered;
}

function beginsWithDigit(text: string): boolean {
  const first = text.charCodeAt(0);
  return first >= 0x30 && first <= 0x39;
}

function checked<T extends Json>(value: T): T {
  if (typeof value === 'string' && !value.isWellFormed())
    throw new CoreError('json-not-canonical', 'a string with a lone surrogate');
  if (typeof value === 'number' && (!Number.isSafeInteger(value) || Object.is(value, -0)))
    throw new CoreError('json-not-canonical', `${value} is not a safe integer`);
  return value;
}

function canonicalText(value: Json): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(checked(value));
  if (isJsonArray(value)) return `[${value.map(canonicalText).join(',')}]`;
  const members: string[] = [];
  for (const key of Object.keys(value).sort()) {
    const member = value[key];
    if (member !== undefined) members.push(`${canonicalText(key)}:${canonicalText(member)}`);
  }
  return `{${members.join(',')}}`;
}

function isJsonArray(value: Json): value is readonly Json[] {
  return Array.isArray(value);
}

/**
 * Parses JSON bytes against a schema; `code` is thrown with the path of the first thing that is wrong. An object with one key twice is refused:
 * `json-invalid`, or `code` where one is given.
 */
export function parseJson<T>(
  bytes: Uint8Array,
  schema: ZodType<T>,
  what: string,
  code: CoreErrorCode = 'json-schema',
): T {
  const parsed = readJson(bytes, what);
  assertEveryMember(parsed, what, code === 'json-schema' ? 'json-invalid' : code);
  return parseValue(parsed.value, schema, what, code);
}

/** As `parseJson`, and the bytes must be the canonical encoding of the value. */
export function parseCanonicalJson<T>(
  bytes: Uint8Array,
  schema: ZodType<T>,
  what: string,
  code: CoreErrorCode = 'json-schema',
): T {
  const { value } = readJson(bytes, what);
  if (!equalBytes(encodeCanonicalJson(value), bytes)) {
    throw new CoreError(
      'json-not-canonical',
      `${what}: not canonical JSON (sorted keys, no white space, no duplicates)`,
    );
  }
  return parseValue(value, schema, what, code);
}

/** Checks a value that is already parsed (a request body, a nested document) against a schema. */
export function parseValue<T>(
  value: unknown,
  schema: ZodType<T>,
  what: string,
  code: CoreErrorCode = 'json-schema',
): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const { path, message } = brokenRule(result.error.issues);
  const where = path.length === 0 ? '' : ` at ${placeText(path)}`;
  throw new CoreError(code, `${what}${where}: ${ruleWords(message)}`);
}

function readJson(bytes: Uint8Array, what: string): { text: string; value: Json; members: number } {
  // The code here walks the value recursively: its depth is limited before it is built.
  const members = assertNesting(bytes, what, 'json-invalid');
  const text = parseUtf8(bytes, what);
  try {
    const value: Json = JSON.parse(text);
    return { text, value, members };
  } catch (cause) {
    throw new CoreError('json-invalid', `${what}: not JSON${placeIn(cause)}`, { cause });
  }
}

// V8 says where, except in a short text.
function placeIn(cause: unknown): string {
  const [, line, column] = (cause instanceof Error && /\(line (\d+) column (\d+)\)$/.exec(cause.message)) || [];
  return line === undefined ? '' : `: line ${line}, column ${column}`;
}
