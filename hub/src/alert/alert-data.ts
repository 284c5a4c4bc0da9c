// The members of an alert besides its title: limited, because part of it comes from an attacker, and because it is copied into an audit
// entry.
import { cutText } from '@edgekeep/core/canonical/printable';

/** Whole numbers, texts, and lists of texts. */
export type AlertData = Readonly<Record<string, string | number | boolean | readonly string[]>>;

/** Characters of one text; longer texts are cut. */
const ALERT_TEXT_MAX = 300;
/** Members of a list. The first ones stay: they show how it began. */
const ALERT_LIST_MAX = 16;
/**
 * Members of the whole: further ones are left out, and `omitted` has their number. With the limits above, an audit entry holds all of them.
 */
const ALERT_MEMBERS_MAX = 12;
// Of an audit entry's 8192 bytes; JSON may write one character as six bytes.
const ENCODED_BYTES_MAX = 6_000;

/** A text as the log and every store take it: an outsider's may have U+0000 or half a character, or the cut makes one. */
export function boundedText(text: string, maxCharacters = ALERT_TEXT_MAX): string {
  return cutText(text, maxCharacters).replaceAll('\0', '\ufffd');
}

/** Cut to the limits. */
export function boundedData(data: AlertData): Record<string, string | number | boolean | string[]> {
  const all = Object.entries(data);
  const kept = all.slice(0, ALERT_MEMBERS_MAX).map(([name, value]) => [name, boundedValue(value)] as const);
  while (encodedLength(kept) > ENCODED_BYTES_MAX) kept.pop();
  const omitted = all.length - kept.length;
  return { ...Object.fromEntries(kept), ...(omitted === 0 ? {} : { omitted }) };
}

/** Merges the stored data with the new data: lists are united, other members take the new value. */
export function mergedData(stored: string, came: AlertData): AlertData {
  const before: AlertData = JSON.parse(stored);
  const united = Object.entries(came).map(([name, value]) => {
    const old = before[name];
    return [
      name,
      isList(value) && isList(old) ? [...new Set([...old, ...value.map((text) => boundedText(text))])] : value,
    ] as const;
  });
  return boundedData({ ...before, ...Object.fromEntries(united) });
}

function boundedValue(value: AlertData[string]): string | number | boolean | string[] {
  if (typeof value === 'string') return boundedText(value);
  if (isList(value)) return value.slice(0, ALERT_LIST_MAX).map((text) => boundedText(text));
  return value;
}

function isList(value: AlertData[string] | undefined): value is readonly string[] {
  return Array.isArray(value);
}

function encodedLength(members: readonly (readonly [string, unknown])[]): number {
  return Buffer.byteLength(JSON.stringify(Object.fromEntries(members)));
}
