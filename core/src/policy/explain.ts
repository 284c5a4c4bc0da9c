// Why the answer was no and what would change it, in the policy's own words: Cedar evaluates each condition separately. The words depend
// only on facts that the statements use, so they can be reused for the next equal question.
import { cutText } from '../canonical/printable.ts';
import { type PolicyJson, policyToText } from '@cedar-policy/cedar-wasm/nodejs';
import { type Condition, conditionsOf } from './condition.ts';
import { type Answer, askOnce } from './engine.ts';
import type { Question } from './question.ts';
import { pathOf, valueText } from './reads.ts';
import type { Statement } from './statement.ts';

export interface PolicyReason {
  readonly code: 'policy-permits-not' | 'policy-forbids' | 'policy-error';
  readonly message: string;
}

const statementsShown = 4;
const conditionsShown = 4;
const CONDITION_CHARACTERS_MAX = 240;

/** Reasons of a refusal, at most eight of about 1,000 characters. `version` is the policy's name. */
export function explain(
  version: string,
  statements: readonly Statement[],
  question: Question,
  answer: Exclude<Answer, { kind: 'permit' }>,
): readonly PolicyReason[] {
  switch (answer.kind) {
    case 'error':
      return [{ code: 'policy-error', message: `${version} could not be evaluated: ${cutText(answer.message, 600)}` }];
    case 'forbid':
      return answer.statements.slice(0, statementsShown).map((id) => {
        const found = statements.find((statement) => statement.id === id);
        const matched = found === undefined ? '' : conditionsThat(found, question, true);
        const because = matched === '' ? 'under any condition' : `because ${matched}`;
        return { code: 'policy-forbids', message: `${version}, statement ${id} forbids ${question.action} ${because}` };
      });
    case 'none':
      return nearest(version, statements, question);
  }
}

// The permits that applied to this question, and what each of them misses.
function nearest(version: string, statements: readonly Statement[], question: Question): readonly PolicyReason[] {
  const permits = statements.filter(({ effect, actions }) => effect === 'permit' && actions.includes(question.action));
  const missing = permits.flatMap((statement) => {
    const open: PolicyJson = { ...statement.json, conditions: [] };
    if (askOnce(open, question).kind !== 'permit') return [];
    return [{ id: statement.id, wants: conditionsThat(statement, question, false) }];
  });
  const no = `${version} does not permit ${question.action}`;
  if (missing.length > 0) {
    return missing.slice(0, statementsShown).map(({ id, wants }) => ({
      code: 'policy-permits-not',
      message: `${no}; its statement ${id} would if ${wants}`,
    }));
  }
  const message =
    permits.length === 0
      ? `${no}: no statement is about it`
      : `${no} here; its ${permits.length} statements about it are for another principal or resource`;
  return [{ code: 'policy-permits-not', message }];
}

// The conditions of a statement that are true (of a forbid) or false (of a permit), with the values that they met.
function conditionsThat(statement: Statement, question: Question, hold: boolean): string {
  const found = conditionsOf(statement.json).filter((condition) => {
    const { kind } = askOnce({ ...statement.json, effect: 'permit', conditions: [condition] }, question);
    return hold ? kind === 'permit' : kind !== 'permit';
  });
  const shown = found.slice(0, conditionsShown).map(({ kind, body }) => {
    const text = conditionText(statement.json, body);
    const wanted = kind === 'when' ? text : `not (${text})`;
    const paths = [...new Set(pathsIn(body))];
    const [only] = paths;
    const values = paths.map((path) => `${path} is ${valueText(question, path)}`).join(', ');
    if (only === undefined) return wanted;
    return `${wanted} (${paths.length === 1 ? `it is ${valueText(question, only)}` : values})`;
  });
  const more = found.length - shown.length;
  return shown.join(' and ') + (more > 0 ? ` and ${more} more` : '');
}

function conditionText(json: PolicyJson, body: Condition['body']): string {
  const alone: PolicyJson = {
    effect: 'permit',
    principal: { op: 'All' },
    action: { op: 'All' },
    resource: { op: 'All' },
    conditions: [{ kind: 'when', body }],
  };
  const answer = policyToText(alone);
  if (answer.type === 'failure') return `a condition of ${json.annotations?.['id'] ?? 'the statement'}`;
  const text = /when \{ ?([^]*?) ?\};\s*$/.exec(answer.text)?.[1] ?? answer.text;
  return text.length > CONDITION_CHARACTERS_MAX ? `${cutText(text, CONDITION_CHARACTERS_MAX)}…` : text;
}

function pathsIn(expression: unknown): readonly string[] {
  if (expression === null || typeof expression !== 'object') return [];
  const path = pathOf(expression);
  if (path !== undefined) return [path];
  return Object.values(expression).flatMap(pathsIn);
}
