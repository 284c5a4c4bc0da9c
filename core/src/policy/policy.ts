// A policy: text that was parsed, strictly validated and found to constrain something, and its answers (spec/access.md, "Policy").
import { sha256Hex } from '../digest.ts';
import { boundsProblem } from './bounds.ts';
import { builtInFor } from './built-in.ts';
import {
  claimFaults,
  type ClaimUse,
  claimUsesOf,
  groupsNamed,
  withClaimGroups,
  withoutUnnamedClaims,
} from './claims.ts';
import { PreparedStatements } from './engine.ts';
import { explain, type PolicyReason } from './explain.ts';
import { type Fault, keyFaults, typeFaults } from './faults.ts';
import { withPresentScopes } from './former-scopes.ts';
import type { Question } from './question.ts';
import { keyOf, type Reads, readsOf } from './reads.ts';
import { type Action, actions } from './schema.ts';
import { onlyAbout, readStatements, type Statement } from './statement.ts';

export type Decision =
  | { readonly kind: 'permitted'; readonly statements: readonly string[] }
  | { readonly kind: 'refused'; readonly statements: readonly string[]; readonly reasons: readonly PolicyReason[] };

export type LoadedPolicy =
  | { readonly kind: 'loaded'; readonly policy: Policy }
  | { readonly kind: 'refused'; readonly faults: readonly Fault[] };

/**
 * `any-action`: a statement that names no action is about all of them. `release-only`: it is about `releaseKey` alone, which is what such a
 * text meant when it was applied to a hub that knew no other action.
 */
export type PolicyMeaning = 'any-action' | 'release-only';

export interface PolicyName {
  /** Its name in reasons: `policy 7`. */
  readonly name: string;
  readonly meaning?: PolicyMeaning;
  /** The hub's groups by what devices say of themselves; left out where they are not known. */
  readonly claimGroups?: ReadonlySet<string> | undefined;
  /** It was applied before: a rule that is newer than the text narrows it, so that the hub still starts with it. */
  readonly stored?: boolean;
}

/** Validates a text; a loaded policy holds memory of the engine until it is disposed of. */
export function loadPolicy(
  text: string,
  { name, meaning = 'any-action', claimGroups, stored = false }: PolicyName,
): LoadedPolicy {
  const problem = boundsProblem(text);
  if (problem !== undefined) return { kind: 'refused', faults: [problem] };
  const read = readStatements(withPresentScopes(text));
  if (read.kind === 'failed') {
    return { kind: 'refused', faults: read.messages.map((message) => ({ code: 'policy-syntax', message })) };
  }
  const written =
    meaning === 'any-action' ? read.statements : read.statements.map((statement) => onlyAbout(statement, 'releaseKey'));
  const statements =
    stored && claimGroups !== undefined ? written.map((statement) => withClaimGroups(statement, claimGroups)) : written;
  const types = typeFaults(statements);
  // An earlier text was found to constrain something by the rules of its time; a hub must still start with it.
  const claims = types.length > 0 || stored ? [] : claimFaults(statements, claimGroups);
  const keys = types.length > 0 || meaning === 'release-only' ? [] : keyFaults(statements);
  const faults = [...types, ...claims, ...keys];
  if (faults.length > 0) return { kind: 'refused', faults };
  // The built-in statements do not come back where a permit by claims is left out.
  const all = [...statements.map(withoutUnnamedClaims), ...builtInFor(statements)];
  const prepared = PreparedStatements.prepare(all);
  if (prepared === undefined) {
    return {
      kind: 'refused',
      faults: [{ code: 'policy-invalid', message: 'Cedar could not prepare what it validated' }],
    };
  }
  return { kind: 'loaded', policy: new Policy(name, text, statements, all, prepared) };
}

// An entry is below 2 KiB. A question that is not in the cache is decided again.
const REMEMBERED_MAX = 20_000;
// A refusal has at most eight reasons.
const LEFT_OUT_SHOWN_MAX = 4;

export class Policy {
  readonly text: string;
  /** SHA-256 of its text, hex. */
  readonly digest: string;
  /** As written, without the built-in ones. */
  readonly statements: readonly Statement[];
  /** Groups that it names, of both kinds. */
  readonly groups: ReadonlySet<string>;
  /** Those among them that it takes for groups by decision, and for groups by claims. */
  readonly groupsByKind: ReturnType<typeof groupsNamed>;
  /** Its statements about connections or keys that rest on what devices say of themselves. */
  readonly claims: readonly ClaimUse[];
  readonly #name: string;
  readonly #all: readonly Statement[];
  readonly #prepared: PreparedStatements;
  readonly #reads: ReadonlyMap<Action, Reads>;
  readonly #remembered = new Map<string, Decision>();

  constructor(
    name: string,
    text: string,
    statements: readonly Statement[],
    all: readonly Statement[],
    prepared: PreparedStatements,
  ) {
    this.#name = name;
    this.text = text;
    this.digest = sha256Hex(text);
    this.statements = statements;
    this.groupsByKind = groupsNamed(statements);
    this.groups = new Set([...this.groupsByKind.decided, ...this.groupsByKind.claimed]);
    this.claims = claimUsesOf(statements);
    this.#all = all;
    this.#prepared = prepared;
    this.#reads = new Map(
      actions.map((action) => [action, readsOf(all.filter((statement) => statement.actions.includes(action)))]),
    );
  }

  /** The facts that are needed to decide about `action`. */
  reads(action: Action): Reads {
    return this.#reads.get(action) ?? new Set();
  }

  /** Cedar is a pure function of policy and question, and a fleet asks the same few questions again and again: answers are cached. */
  decide(question: Question): Decision {
    const key = keyOf(this.reads(question.action), question);
    const known = this.#remembered.get(key);
    if (known !== undefined) return known;
    const decision = this.decideAnew(question);
    if (this.#remembered.size >= REMEMBERED_MAX) this.#remembered.clear();
    this.#remembered.set(key, decision);
    return decision;
  }

  /** As `decide`, without the cache. */
  decideAnew(question: Question): Decision {
    const answer = this.#prepared.ask(question);
    if (answer.kind === 'permit') return { kind: 'permitted', statements: answer.statements };
    const statements = answer.kind === 'forbid' ? answer.statements : [];
    const reasons = explain(this.#name, this.#all, question, answer);
    return { kind: 'refused', statements, reasons: [...reasons, ...this.#leftOut(question.action, answer.kind)] };
  }

  // The permits by claims that an earlier hub asked, and this one does not.
  #leftOut(action: Action, kind: 'forbid' | 'none' | 'error'): readonly PolicyReason[] {
    if (kind !== 'none') return [];
    return this.claims
      .filter(({ named, actions: about, statement }) => !named && about.includes(action) && this.#permits(statement))
      .slice(0, LEFT_OUT_SHOWN_MAX)
      .map(({ statement, claims }) => ({
        code: 'policy-permits-not',
        message: `${this.#name}, statement ${statement} rests on ${claims.join(', ')}, which devices say of themselves, and does not name it: it permits no ${action}`,
      }));
  }

  #permits(id: string): boolean {
    return this.statements.some((statement) => statement.id === id && statement.effect === 'permit');
  }

  [Symbol.dispose](): void {
    this.#prepared[Symbol.dispose]();
  }
}
