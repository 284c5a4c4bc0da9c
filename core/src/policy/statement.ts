// The statements of a policy: their names, their text, and their actions.
import { type Effect, policySetTextToParts, policyToJson, type PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import { type Action, actions } from './schema.ts';

export interface Statement {
  /** Its `@id`, or `policy` and its position; unique within the policy. */
  readonly id: string;
  readonly effect: Effect;
  readonly text: string;
  readonly json: PolicyJson;
  /** What it may apply to by its scope. */
  readonly actions: readonly Action[];
  /** Whether its scope names actions, instead of allowing any. */
  readonly namesActions: boolean;
}

export type ReadStatements =
  | { readonly kind: 'read'; readonly statements: readonly Statement[] }
  | { readonly kind: 'failed'; readonly messages: readonly string[] };

/** Splits a text within `boundsProblem` into statements, in their order. */
export function readStatements(text: string): ReadStatements {
  const parts = policySetTextToParts(text);
  if (parts.type === 'failure') return { kind: 'failed', messages: parts.errors.map(({ message }) => message) };
  if (parts.policy_templates.length > 0) return { kind: 'failed', messages: ['templates have no place in a policy'] };
  const statements: Statement[] = [];
  const taken = new Set<string>();
  for (const [position, part] of parts.policies.entries()) {
    const answer = policyToJson(part);
    if (answer.type === 'failure') return { kind: 'failed', messages: answer.errors.map(({ message }) => message) };
    const { json } = answer;
    const unsafe = unsafeNumber(json.conditions);
    if (unsafe !== undefined) return { kind: 'failed', messages: [`the number ${unsafe} is beyond 2^53-1`] };
    const name = json.annotations?.['id'] ?? `policy${position}`;
    const id = taken.has(name) ? `${name}#${position}` : name;
    taken.add(id);
    statements.push({ id, effect: json.effect, text: part, json, ...actionsOf(json) });
  }
  return { kind: 'read', statements };
}

/** The same statement about one action only: the meaning of texts that were applied when there was no other. */
export function onlyAbout(statement: Statement, action: Action): Statement {
  if (statement.namesActions) return statement;
  const json: PolicyJson = {
    ...statement.json,
    action: { op: '==', entity: { type: 'Edgekeep::Action', id: action } },
  };
  return { ...statement, json, actions: [action], namesActions: true };
}

function actionsOf({ action }: PolicyJson): Pick<Statement, 'actions' | 'namesActions'> {
  switch (action.op) {
    case 'All':
      return { actions, namesActions: false };
    case '==':
      return { actions: actions.filter((each) => namesAction(action, each)), namesActions: true };
    case 'in':
      return { actions: actions.filter((each) => namesAction(action, each)), namesActions: true };
  }
}

// Cedar's JSON differs between one entity and several, and by whether a type was written: only the id counts, because validation has
// checked the rest.
function namesAction(constraint: object, action: Action): boolean {
  return entitiesIn(constraint).includes(action);
}

// Statements pass through JSON, which has exact numbers up to this limit.
function unsafeNumber(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? undefined : value;
  if (value === null || typeof value !== 'object') return undefined;
  for (const member of Object.values(value)) {
    const found = unsafeNumber(member);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The ids of the entities of one type, or of any, that occur anywhere in a piece of Cedar's JSON. */
export function entitiesIn(value: unknown, type?: string): readonly string[] {
  if (value === null || typeof value !== 'object') return [];
  if ('type' in value && 'id' in value && typeof value.id === 'string') {
    return type === undefined || value.type === type ? [value.id] : [];
  }
  return Object.values(value).flatMap((member) => entitiesIn(member, type));
}
