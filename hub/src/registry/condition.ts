// The meaning of a comparison: its field, and values of that field's kind (spec/registry.md, "Fields").
import { parseDateTime } from '@edgekeep/core/canonical/date-time';
import { canonicalText } from '@edgekeep/core/canonical/text';
import { tiers } from '@edgekeep/core/attest/tier';
import { registryOrigins } from '@edgekeep/core/policy/origins';
import type { FormerName } from '@edgekeep/core/former-names';
import { noteFormerName } from '../common/former-names.ts';
import { type Comparison, type Filter, filterError, type Operator } from './filter.ts';
import type { DeviceState, DocumentSide } from '../store/tables/registry.ts';

/** Columns of the device row that a filter may name and a list may be sorted by. */
export const columns = {
  id: { column: 'id', kind: 'text' },
  tier: { column: 'tier', kind: 'word' },
  state: { column: 'state', kind: 'word' },
  attestation: { column: 'attestation', kind: 'word' },
  seenAt: { column: 'seen_at', kind: 'time' },
  enrolledAt: { column: 'enrolled_at', kind: 'time' },
} as const;

export type ColumnName = keyof typeof columns;
export type Column = (typeof columns)[ColumnName]['column'];

const states: readonly DeviceState[] = ['registered', 'active', 'suspect', 'quarantined', 'wiped', 'retired'];
// A misspelt word would match nothing, or with != everything.
const words: Readonly<Record<string, readonly string[]>> = {
  state: states,
  tier: [...tiers, 'token'],
  attestation: ['none', 'affirming', 'warning', 'contraindicated'],
};

export type Ordering = Extract<Operator, 'below' | 'at-most' | 'above' | 'at-least'>;

/** How a text is tested. `negated` matches everything that the same test without it does not match, including a missing value. */
export type TextTest =
  | { readonly kind: 'one-of'; readonly values: readonly string[]; readonly negated: boolean }
  | { readonly kind: 'starts-with'; readonly start: string; readonly negated: boolean }
  | { readonly kind: 'order'; readonly ordering: Ordering; readonly value: string | number }
  | { readonly kind: 'exists'; readonly negated: boolean };

export type Condition =
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'column'; readonly column: Column; readonly test: TextTest }
  | { readonly kind: 'enabled'; readonly enabled: boolean }
  | { readonly kind: 'place'; readonly column: 'site' | 'enrolment_group'; readonly test: TextTest }
  | { readonly kind: 'tag'; readonly key: string; readonly test: TextTest }
  | { readonly kind: 'attribute'; readonly side: DocumentSide; readonly path: string; readonly test: TextTest }
  /** What the device reports about its models: a model that it holds, or a fault. */
  | { readonly kind: 'model'; readonly column: 'model' | 'fault_code'; readonly test: TextTest }
  | { readonly kind: 'group'; readonly name: string; readonly negated: boolean; readonly position: number };

// Filters of groups were written down with it.
const formerFields: readonly FormerName[] = [{ former: 'enrolmentGroup', present: 'enrollmentGroup' }];
const fieldNames = Object.keys(registryOrigins);
const keyPattern = /^[A-Za-z][A-Za-z0-9_-]{0,62}$/;
const pathPattern = /^[A-Za-z][A-Za-z0-9_-]{0,62}(?:\.[A-Za-z][A-Za-z0-9_-]{0,62}){0,5}$/;

/** Gives each comparison its meaning; ages like `-2h` count from `nowMs`. Throws `request-invalid` with the position. */
export function conditionOf(filter: Filter, nowMs: number): Condition {
  if (filter.kind !== 'comparison') return { kind: filter.kind, of: filter.of.map((part) => conditionOf(part, nowMs)) };
  const { selector: written, position } = filter;
  const former = formerFields.find((each) => each.former === written);
  if (former !== undefined) noteFormerName(former);
  const selector = former?.present ?? written;
  if (Object.hasOwn(columns, selector)) return columnCondition(filter, nowMs);
  if (selector === 'enabled') return { kind: 'enabled', enabled: flagOf(filter) };
  if (selector === 'site') return { kind: 'place', column: 'site', test: textTest(filter) };
  if (selector === 'enrollmentGroup') return { kind: 'place', column: 'enrolment_group', test: textTest(filter) };
  if (selector === 'group') return groupCondition(filter);
  if (selector === 'holds') return { kind: 'model', column: 'model', test: textTest(filter) };
  if (selector === 'fault') return { kind: 'model', column: 'fault_code', test: textTest(filter) };
  if (selector === 'online') throw filterError(position, 'each hub node knows only its own connections: use seenAt');
  const dot = selector.indexOf('.');
  const rest = selector.slice(dot + 1);
  switch (selector.slice(0, Math.max(0, dot))) {
    case 'tags':
      if (!keyPattern.test(rest)) throw filterError(position, `not a tag's key: ${rest.slice(0, 80)}`);
      return { kind: 'tag', key: rest, test: textTest(filter) };
    case 'reported':
      return { kind: 'attribute', side: 'reported', path: pathOf(rest, position), test: attributeTest(filter) };
    case 'desired':
      return { kind: 'attribute', side: 'desired', path: pathOf(rest, position), test: attributeTest(filter) };
    default:
      throw filterError(position, `no field ${selector.slice(0, 80)}: there are ${fieldNames.join(', ')}`);
  }
}

function pathOf(text: string, position: number): string {
  if (!pathPattern.test(text)) throw filterError(position, `not a path of at most six keys: ${text.slice(0, 80)}`);
  return text;
}

function columnCondition(comparison: Comparison, nowMs: number): Condition {
  const { selector, position, operator, values } = comparison;
  const found = Object.entries(columns).find(([name]) => name === selector)?.[1];
  if (found === undefined) throw filterError(position, `no field ${selector}`);
  const { column, kind } = found;
  if (operator === 'exists') throw filterError(position, `every device has ${selector}`);
  switch (kind) {
    case 'text':
      return { kind: 'column', column, test: textTest(comparison) };
    case 'word': {
      const known = words[selector] ?? [];
      const unknown = values.find((value) => !known.includes(value));
      if (unknown !== undefined)
        throw filterError(
          position,
          `no ${selector} ${JSON.stringify(unknown.slice(0, 80))}: there are ${known.join(', ')}`,
        );
      return { kind: 'column', column, test: membership(comparison) };
    }
    case 'time': {
      const ordering = orderingOf(operator);
      if (ordering === undefined) throw filterError(position, `${selector} is compared with < <= > >=`);
      return { kind: 'column', column, test: { kind: 'order', ordering, value: timeOf(comparison, nowMs) } };
    }
  }
}

function groupCondition(comparison: Comparison): Condition {
  const { position, values } = comparison;
  const { negated } = membership(comparison);
  const of = values.map((name): Condition => ({ kind: 'group', name, negated, position }));
  return { kind: negated ? 'all' : 'any', of };
}

function flagOf({ operator, values, position, selector }: Comparison): boolean {
  const [value] = values;
  if ((operator === 'equal' || operator === 'unequal') && (value === 'true' || value === 'false')) {
    return (value === 'true') === (operator === 'equal');
  }
  throw filterError(position, `${selector}==true or ${selector}==false`);
}

function textTest(given: Comparison): TextTest {
  // Tags and attributes are stored in canonical form, so the comparison uses it too.
  const comparison = { ...given, values: given.values.map(comparedText) };
  const { operator, values, position } = comparison;
  const [value = ''] = values;
  const ordering = orderingOf(operator);
  if (ordering !== undefined) return { kind: 'order', ordering, value };
  if (operator === 'exists') return { kind: 'exists', negated: !existsOf(comparison) };
  if (operator !== 'equal' && operator !== 'unequal') return membership(comparison);
  const star = value.indexOf('*');
  if (star === -1) return membership(comparison);
  if (star !== value.length - 1) throw filterError(position, 'a * is allowed only at the end: press-*');
  return { kind: 'starts-with', start: value.slice(0, -1), negated: operator === 'unequal' };
}

function attributeTest(comparison: Comparison): TextTest {
  const test = textTest(comparison);
  // A number is compared with numbers, any other value with texts.
  if (test.kind !== 'order' || !isNumber(String(test.value))) return test;
  return { ...test, value: Number(test.value) };
}

// A start like `press *` ends at its star: the space belongs to it.
function comparedText(text: string): string {
  const start = text.endsWith('*') ? text.slice(0, -1).trimStart().normalize('NFC') : undefined;
  return start === undefined ? canonicalText(text) : `${start}*`;
}

function isNumber(text: string): boolean {
  return /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(text);
}

function membership({ operator, values, position }: Comparison): Extract<TextTest, { kind: 'one-of' }> {
  switch (operator) {
    case 'equal':
    case 'in':
      return { kind: 'one-of', values, negated: false };
    case 'unequal':
    case 'out':
      return { kind: 'one-of', values, negated: true };
    default:
      throw filterError(position, 'this field is compared with == != =in= =out=');
  }
}

function existsOf({ values, position }: Comparison): boolean {
  const [value] = values;
  if (value !== 'true' && value !== 'false') throw filterError(position, '=ex=true or =ex=false');
  return value === 'true';
}

function orderingOf(operator: Operator): Ordering | undefined {
  return operator === 'below' || operator === 'at-most' || operator === 'above' || operator === 'at-least'
    ? operator
    : undefined;
}

const unitMs: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

function timeOf({ values, position }: Comparison, nowMs: number): number {
  const [text = ''] = values;
  const age = /^-(\d{1,7})([smhd])$/.exec(text);
  if (age !== null) return nowMs - Number(age[1]) * (unitMs[age[2] ?? ''] ?? 0);
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const date = parseDateTime(text);
  if (date !== undefined) return date;
  const forms = 'a time is unix milliseconds, 2026-11-21, 2026-11-21T05:00Z, or an age: -30s -15m -2h -7d';
  const looksRight = /^\d{4}-\d{2}-\d{2}(?:T|$)/.test(text);
  throw filterError(position, looksRight ? `${text.slice(0, 40)} does not exist or is no such form; ${forms}` : forms);
}
