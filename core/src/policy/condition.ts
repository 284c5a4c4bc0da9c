// A statement's conditions one by one: a `when` of several joined by && is several.
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';

export type Condition = PolicyJson['conditions'][number];

export function conditionsOf({ conditions }: PolicyJson): readonly Condition[] {
  return conditions.flatMap(({ kind, body }) =>
    kind === 'when' ? conjunctsOf(body).map((each): Condition => ({ kind, body: each })) : [{ kind, body }],
  );
}

// Both sides of every && from the left; texts are limited (bounds.ts), and so is the depth.
function conjunctsOf(body: Condition['body']): readonly Condition['body'][] {
  if (!('&&' in body)) return [body];
  const both = body['&&'];
  return Array.isArray(both) ? [body] : [...conjunctsOf(both.left), ...conjunctsOf(both.right)];
}
