// Cedar itself: statements prepared once for each action, questions answered from them. A question that Cedar cannot answer is denied.
import { isAuthorized, preparsePolicySet, preparseSchema, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs';
import type { AuthorizationAnswer, PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Question } from './question.ts';
import { requestOf } from './request.ts';
import { type Action, actions, policySchema } from './schema.ts';
import type { Statement } from './statement.ts';

export type Answer =
  | { readonly kind: 'permit'; readonly statements: readonly string[] }
  | { readonly kind: 'forbid'; readonly statements: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'error'; readonly message: string };

// Cedar keeps prepared statements by name and never frees them: names are reused.
const schemaName = 'edgekeep';
const freeSlots: number[] = [];
let slotsMade = 0;
let schemaPrepared = false;

/** Statements in Cedar's memory until disposed of; after that every answer is an error. */
export class PreparedStatements {
  readonly #slot: number;
  readonly #prepared: ReadonlySet<Action>;
  #disposed = false;

  private constructor(slot: number, prepared: ReadonlySet<Action>) {
    this.#slot = slot;
    this.#prepared = prepared;
  }

  /** `statements` have been validated; undefined when Cedar still does not accept them. */
  static prepare(statements: readonly Statement[]): PreparedStatements | undefined {
    if (!schemaPrepared && preparseSchema(schemaName, policySchema).type === 'failure') return undefined;
    schemaPrepared = true;
    const slot = freeSlots.pop() ?? slotsMade++;
    const prepared = new Set<Action>();
    for (const action of actions) {
      const about = statements.filter((statement) => statement.actions.includes(action));
      if (about.length === 0) continue;
      const policies = Object.fromEntries(about.map(({ id, json }): [string, PolicyJson] => [id, json]));
      if (preparsePolicySet(nameOf(slot, action), { staticPolicies: policies }).type === 'failure') {
        freeSlots.push(slot);
        return undefined;
      }
      prepared.add(action);
    }
    return new PreparedStatements(slot, prepared);
  }

  ask(question: Question): Answer {
    if (this.#disposed) return { kind: 'error', message: 'this policy was replaced during the decision: try again' };
    if (!this.#prepared.has(question.action)) return { kind: 'none' };
    return answerOf(() =>
      statefulIsAuthorized({
        ...requestOf(question),
        preparsedPolicySetId: nameOf(this.#slot, question.action),
        preparsedSchemaName: schemaName,
        validateRequest: true,
      }),
    );
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    freeSlots.push(this.#slot);
  }
}

/** Asks one statement that was not prepared. */
export function askOnce(policy: PolicyJson, question: Question): Answer {
  return answerOf(() => isAuthorized({ ...requestOf(question), policies: { staticPolicies: { asked: policy } } }));
}

function nameOf(slot: number, action: Action): string {
  return `${slot} ${action}`;
}

function answerOf(ask: () => AuthorizationAnswer): Answer {
  let answer: AuthorizationAnswer;
  try {
    answer = ask();
  } catch (error) {
    // The module itself failed. Its later answers cannot be trusted: every such question is denied.
    return { kind: 'error', message: `the policy engine failed: ${String(error)}; restart the hub` };
  }
  if (answer.type === 'failure') {
    return { kind: 'error', message: answer.errors.map(({ message }) => message).join('; ') };
  }
  const { decision, diagnostics } = answer.response;
  // Cedar skips a statement that errs; a skipped forbid must not turn into a permit.
  if (diagnostics.errors.length > 0) {
    const message = diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).join('; ');
    return { kind: 'error', message };
  }
  if (decision === 'allow') return { kind: 'permit', statements: diagnostics.reason.toSorted() };
  return diagnostics.reason.length > 0
    ? { kind: 'forbid', statements: diagnostics.reason.toSorted() }
    : { kind: 'none' };
}
