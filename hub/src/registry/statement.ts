// A condition as SQL. Every value is a parameter and every name comes from this file; nothing a caller wrote becomes part of the text.
// Only what SQLite and PostgreSQL share: comparisons, IN with a sub-query, ranges instead of LIKE.
import {
  type ComparisonOperatorExpression,
  type Expression,
  type ExpressionBuilder,
  type Kysely,
  sql,
  type SqlBool,
} from 'kysely';
import type { Tables } from '../store/schema.ts';
import type { Condition, Ordering, TextTest } from './condition.ts';

export type DeviceExpressions = ExpressionBuilder<Tables, 'device'>;

const orderings: Readonly<Record<Ordering, ComparisonOperatorExpression>> = {
  below: '<',
  'at-most': '<=',
  above: '>',
  'at-least': '>=',
};

/** Groups that the condition names: the condition of each that is a query, undefined for one with named members. */
export type KnownGroups = ReadonlyMap<string, Condition | undefined>;

export function expressionOf(
  eb: DeviceExpressions,
  db: Kysely<Tables>,
  condition: Condition,
  groups: KnownGroups,
): Expression<SqlBool> {
  switch (condition.kind) {
    case 'all':
      return eb.and(condition.of.map((part) => expressionOf(eb, db, part, groups)));
    case 'any':
      return eb.or(condition.of.map((part) => expressionOf(eb, db, part, groups)));
    case 'enabled':
      return eb('device.disabled_reason', condition.enabled ? 'is' : 'is not', null);
    case 'column':
      return columnTest(eb, condition.column, condition.test);
    case 'tag': {
      const rows = db.selectFrom('device_tag').select('device_id').where('key', '=', condition.key);
      const { test } = condition;
      const matching = rows.where((q) =>
        valueTest(
          (operator, value) => q(sql.ref<Value>('value'), operator, value),
          (parts) => q.and(parts),
          test,
        ),
      );
      return eb('device.id', isNegated(test) ? 'not in' : 'in', matching);
    }
    case 'attribute':
      return attributeTest(eb, db, condition);
    case 'group':
      return groupTest(eb, db, condition, groups);
  }
}

function columnTest(
  eb: DeviceExpressions,
  column: Extract<Condition, { kind: 'column' }>['column'],
  test: TextTest,
): Expression<SqlBool> {
  const matches = valueTest(
    (operator, value) => eb(sql.ref<Value>(`device.${column}`), operator, value),
    (parts) => eb.and(parts),
    test,
  );
  return isNegated(test) ? eb.not(matches) : matches;
}

function attributeTest(
  eb: DeviceExpressions,
  db: Kysely<Tables>,
  { side, path, test }: Extract<Condition, { kind: 'attribute' }>,
): Expression<SqlBool> {
  const rows = db.selectFrom('device_attribute').select('device_id').where('side', '=', side);
  const operator = isNegated(test) ? 'not in' : 'in';
  if (test.kind === 'exists') {
    // The leaf itself, or any below it: '/' follows '.' in every collation by bytes.
    const there = rows.where((q) =>
      q.or([q('path', '=', path), q.and([q('path', '>=', `${path}.`), q('path', '<', `${path}/`)])]),
    );
    return eb('device.id', operator, there);
  }
  const column = test.kind === 'order' && typeof test.value === 'number' ? 'number_value' : 'text_value';
  const matching = rows.where('path', '=', path).where((q) =>
    valueTest(
      (comparison, value) => q(sql.ref<Value>(column), comparison, value),
      (parts) => q.and(parts),
      test,
    ),
  );
  return eb('device.id', operator, matching);
}

function groupTest(
  eb: DeviceExpressions,
  db: Kysely<Tables>,
  { name, negated }: Extract<Condition, { kind: 'group' }>,
  groups: KnownGroups,
): Expression<SqlBool> {
  const query = groups.get(name);
  if (query !== undefined) {
    const matches = expressionOf(eb, db, query, groups);
    return negated ? eb.not(matches) : matches;
  }
  const members = db.selectFrom('device_group_member').select('device_id').where('group_name', '=', name);
  return eb('device.id', negated ? 'not in' : 'in', members);
}

type Value = string | number;
type Compare = (operator: ComparisonOperatorExpression, value: Value | readonly Value[]) => Expression<SqlBool>;
type And = (parts: readonly Expression<SqlBool>[]) => Expression<SqlBool>;

// The test without its negation, which belongs to the device and not to the row.
function valueTest(compare: Compare, and: And, test: TextTest): Expression<SqlBool> {
  switch (test.kind) {
    case 'exists':
      return and([]);
    case 'order':
      return compare(orderings[test.ordering], test.value);
    case 'one-of':
      return compare('in', test.values);
    case 'starts-with': {
      const end = endOfPrefix(test.start);
      const from = compare('>=', test.start);
      return end === undefined ? from : and([from, compare('<', end)]);
    }
  }
}

function isNegated(test: TextTest): boolean {
  return test.kind !== 'order' && test.negated;
}

/** The first text behind all that begin with `start`, by code points as both engines order UTF-8; undefined when there is none. */
export function endOfPrefix(start: string): string | undefined {
  const points = Array.from(start);
  for (let last = points.pop(); last !== undefined; last = points.pop()) {
    const point = last.codePointAt(0) ?? 0;
    // A surrogate half is no code point of UTF-8.
    const next = point === 0xd7ff ? 0xe000 : point + 1;
    if (next <= 0x10ffff) return points.join('') + String.fromCodePoint(next);
  }
  return undefined;
}
