// The facts that a statement uses. Two questions that agree in all facts used by the statements of an action have the same answer, so that
// answer can be cached (spec/access.md, "Remembered decisions"), and unused facts need not be read.
import { cutText } from '../canonical/printable.ts';
import type { Question } from './question.ts';
import { uidOf, uidOfResource } from './request.ts';
import type { Statement } from './statement.ts';

/** Paths into a question: `principal.tier`, `context.network.ip`; `principal` alone is the principal as a whole. */
export type Reads = ReadonlySet<string>;

export function readsOf(statements: readonly Pick<Statement, 'json'>[]): Reads {
  const paths = new Set<string>();
  for (const { json } of statements) {
    for (const [name, scope] of [
      ['principal', json.principal],
      ['resource', json.resource],
    ] as const) {
      if (scope.op === 'All') continue;
      // `is` uses the kind, which is always part of the key; `==` and `in` use the identity and its parents.
      if (scope.op === '==' || scope.op === 'in' || 'in' in scope) paths.add(name);
    }
    for (const { body } of json.conditions) collect(body, paths);
  }
  return paths;
}

/** As `readsOf`, of one expression in Cedar's JSON form. */
export function readsOfExpression(expression: unknown): Reads {
  const paths = new Set<string>();
  collect(expression, paths);
  return paths;
}

/** Whether anything below `path` is used. */
export function looksAt(reads: Reads, path: string): boolean {
  return [...reads].some((read) => read === path || read.startsWith(`${path}.`) || path.startsWith(`${read}.`));
}

/** Equal for questions with the same answer. */
export function keyOf(reads: Reads, question: Question): string {
  const { action, principal, resource } = question;
  const values = [...reads].map((path) => valueAt(question, path));
  return JSON.stringify([action, principal.kind, resource.kind, values]);
}

/** The value of a question at a path; undefined where it has none. */
function valueAt(question: Question, path: string): unknown {
  const { principal } = question;
  // A workload has the attributes of its device in addition to its own.
  const who = principal.kind === 'workload' ? { ...principal.device, ...principal } : principal;
  let value: unknown = { ...question, principal: who };
  for (const name of path.split('.')) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, name)) return undefined;
    value = Reflect.get(value, name);
  }
  return value;
}

/** The value at a path as Cedar would write it, for people. */
export function valueText(question: Question, path: string): string {
  const { principal, resource } = question;
  const whole = path === 'principal' ? uidOf(principal) : path === 'resource' ? uidOfResource(resource) : undefined;
  if (whole !== undefined) return `${whole.type}::${JSON.stringify(whole.id)}${groupsText(path, principal)}`;
  const value = valueAt(question, path);
  if (value === undefined) return 'not known';
  return moments.has(path) && typeof value === 'number'
    ? new Date(value).toISOString()
    : cutText(JSON.stringify(value), VALUE_CHARACTERS_MAX);
}

const VALUE_CHARACTERS_MAX = 120;
const moments: ReadonlySet<string> = new Set(['context.time.now', 'context.attestation.secureBoot.dbxDate']);

// A principal that is used as a whole includes its parents.
function groupsText(path: string, principal: Question['principal']): string {
  const device = principal.kind === 'workload' ? principal.device : principal;
  if (path !== 'principal' || device.kind !== 'device') return '';
  const groups = [...device.groups, ...device.claimGroups];
  return groups.length === 0 ? '' : ` in ${cutText(JSON.stringify(groups), VALUE_CHARACTERS_MAX)}`;
}

// Cedar's JSON form of an expression: one key per operator, operands below it.
function collect(expression: unknown, paths: Set<string>): void {
  if (expression === null || typeof expression !== 'object') return;
  const path = pathOf(expression);
  if (path !== undefined) {
    paths.add(path);
    return;
  }
  // An entity literal is compared with the principal or the resource, or its attributes are: only if it is the one that asks does it have
  // any.
  if ('__entity' in expression) {
    paths.add('principal').add('resource');
    return;
  }
  for (const [operator, operand] of Object.entries(expression)) {
    if (operator === 'is' && isPlainKindTest(operand)) continue;
    collect(operand, paths);
  }
}

// `principal is Edgekeep::Device` uses only the kind.
function isPlainKindTest(operand: unknown): boolean {
  return (
    operand !== null &&
    typeof operand === 'object' &&
    !('in' in operand) &&
    'left' in operand &&
    operand.left !== null &&
    typeof operand.left === 'object' &&
    'Var' in operand.left
  );
}

/** `context.network.ip` of a chain of dots that begins with a variable; tags by their key if the key is a literal. */
export function pathOf(expression: unknown): string | undefined {
  if (expression === null || typeof expression !== 'object') return undefined;
  if ('Var' in expression && typeof expression.Var === 'string') return expression.Var;
  if ('.' in expression) return stepOf(expression['.']);
  if ('has' in expression) return stepOf(expression.has);
  const tag = 'getTag' in expression ? expression.getTag : 'hasTag' in expression ? expression.hasTag : undefined;
  if (tag === null || typeof tag !== 'object' || !('left' in tag)) return undefined;
  const left = pathOf(tag.left);
  return left === undefined ? undefined : `${left}.tags`;
}

function stepOf(step: unknown): string | undefined {
  if (step === null || typeof step !== 'object' || !('left' in step) || !('attr' in step)) return undefined;
  const left = pathOf(step.left);
  if (left === undefined) return undefined;
  const { attr } = step;
  if (typeof attr === 'string') return `${left}.${attr}`;
  return Array.isArray(attr) ? `${left}.${attr.join('.')}` : undefined;
}
