// A condition as SQL. Every value is a parameter and every name comes from this file; nothing that a caller wrote becomes part of the text.
// Uses only what SQLite and PostgreSQL share: comparisons, IN with a sub-query, ranges instead of LIKE.
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

/** The tools that an expression is built with. */
export interface Scope {
  readonly eb: DeviceExpressions;
  readonly db: Kysely<Tables>;
  readonly groups: KnownGroups;
  /**
   * How devices are found. `by-condition`: the engine may begin with the rows that a condition names. `in-order`: it goes through the
   * devices in the order of the page and tests each, which is faster when many match.
   */
  readonly found: 'by-condition' | 'in-order';
}

export function expressionOf(scope: Scope, condition: Condition): Expression<SqlBool> {
  const { eb, db } = scope;
  const inOrder = scope.found === 'in-order';
  switch (condition.kind) {
    case 'all':
      return eb.and(condition.of.map((part) => expressionOf(scope, part)));
    case 'any':
      return eb.or(condition.of.map((part) => expressionOf(scope, part)));
    case 'enabled':
      return eb('device.disabled_reason', condition.enabled ? 'is' : 'is not', null);
    case 'column':
      return columnTest(eb, condition.column, condition.test);
    case 'place':
      return placeTest(eb, condition.column, condition.test);
    case 'tag': {
      const { key, test } = condition;
      const matching = db
        .selectFrom('device_tag')
        .select('device_id')
        .$if(inOrder, (q) => q.where(ofThisDevice))
        .where('key', '=', key)
        .where((q) =>
          valueTest(
            (operator, value) => q(sql.ref<Value>('value'), operator, value),
            (parts) => q.and(parts),
            test,
          ),
        );
      return isAmong(scope, matching, isNegated(test));
    }
    case 'attribute':
      return attributeTest(scope, condition);
    case 'model':
      return modelTest(scope, condition);
    case 'group':
      return groupTest(scope, condition);
  }
}

// By condition, the ids are a list to start from; in order, they are a test of the present device.
function isAmong({ eb, found }: Scope, ids: Expression<{ device_id: string }>, negated: boolean): Expression<SqlBool> {
  if (found === 'by-condition')
    return negated ? sql<SqlBool>`device.id not in ${ids}` : sql<SqlBool>`device.id in ${ids}`;
  return negated ? eb.not(eb.exists(ids)) : eb.exists(ids);
}

const ofThisDevice = sql<SqlBool>`device_id = device.id`;

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

// A negated test also matches a device without a site or group.
function placeTest(eb: DeviceExpressions, column: 'site' | 'enrolment_group', test: TextTest): Expression<SqlBool> {
  const there = eb(`device.${column}`, 'is not', null);
  const matches = valueTest(
    (operator, value) => eb(sql.ref<Value>(`device.${column}`), operator, value),
    (parts) => eb.and(parts),
    test,
  );
  const both = eb.and([there, matches]);
  return isNegated(test) ? eb.not(both) : both;
}

function attributeTest(
  scope: Scope,
  { side, path, test }: Extract<Condition, { kind: 'attribute' }>,
): Expression<SqlBool> {
  const rows = scope.db
    .selectFrom('device_attribute')
    .select('device_id')
    .$if(scope.found === 'in-order', (q) => q.where(ofThisDevice))
    .where('side', '=', side);
  if (test.kind === 'exists') {
    // The leaf itself, or any below it: '/' follows '.' in every collation by bytes.
    const there = rows.where((q) =>
      q.or([q('path', '=', path), q.and([q('path', '>=', `${path}.`), q('path', '<', `${path}/`)])]),
    );
    return isAmong(scope, there, test.negated);
  }
  const column = test.kind === 'order' && typeof test.value === 'number' ? 'number_value' : 'text_value';
  const matching = rows.where('path', '=', path).where((q) =>
    valueTest(
      (operator, value) => q(sql.ref<Value>(column), operator, value),
      (parts) => q.and(parts),
      test,
    ),
  );
  return isAmong(scope, matching, isNegated(test));
}

// A model counts when the device holds it; a fault exists or not.
function modelTest(scope: Scope, { column, test }: Extract<Condition, { kind: 'model' }>): Expression<SqlBool> {
  const rows = scope.db
    .selectFrom('device_model')
    .select('device_id')
    .$if(scope.found === 'in-order', (q) => q.where(ofThisDevice));
  const there =
    column === 'model' ? rows.where('state', 'in', ['serving', 'ready']) : rows.where('fault_code', 'is not', null);
  const matching = there.where((q) =>
    valueTest(
      (operator, value) => q(sql.ref<Value>(column), operator, value),
      (parts) => q.and(parts),
      test,
    ),
  );
  return isAmong(scope, matching, isNegated(test));
}

function groupTest(scope: Scope, { name, negated }: Extract<Condition, { kind: 'group' }>): Expression<SqlBool> {
  const query = scope.groups.get(name);
  if (query !== undefined) {
    const matches = expressionOf(scope, query);
    return negated ? scope.eb.not(matches) : matches;
  }
  const members = scope.db
    .selectFrom('device_group_member')
    .select('device_id')
    .$if(scope.found === 'in-order', (q) => q.where(ofThisDevice))
    .where('group_name', '=', name);
  return isAmong(scope, members, negated);
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

/** The first text after all that begin with `start`, by code points as both engines order UTF-8; undefined when there is none. */
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
