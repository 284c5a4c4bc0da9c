// Claims never decide about keys (docs/design/claims.md): what a statement rests on that devices say of themselves, whether it names that
// in `@claims("…")`, and what becomes of a statement that does not.
import type { PolicyJson } from '@cedar-policy/cedar-wasm/nodejs';
import type { Fault } from './faults.ts';
import { attributeOrigins } from './origins.ts';
import { looksAt, readsOf } from './reads.ts';
import type { Action } from './schema.ts';
import { entitiesIn, type Statement } from './statement.ts';

/** The actions that no claim decides unless the statement names it. */
const guardedActions: readonly Action[] = ['connect', 'releaseKey'];

// People read it.
const NAMED_MAX = 4;

/** The members of the context that a device claims: `context.guard`. A policy names them so. */
const claimedContext: readonly string[] = [
  ...new Set(
    Object.entries(attributeOrigins)
      .filter(([path, origin]) => origin === 'claimed' && path.startsWith('context.'))
      .map(([path]) => path.split('.').slice(0, 2).join('.')),
  ),
];

const groupType = 'Edgekeep::Group';
const claimGroupType = 'Edgekeep::ClaimGroup';

/** A statement about connections or keys that rests on claims. */
export interface ClaimUse {
  readonly statement: string;
  /** Claim groups by name; members of the context as `context.guard`. */
  readonly claims: readonly string[];
  /** Those of `guardedActions` that it is about. */
  readonly actions: readonly Action[];
  /** Whether it names the claims. A permit that does not is asked about neither. */
  readonly named: boolean;
}

/** The groups by decision, and by claims, that the statements name. */
export function groupsNamed(statements: readonly Pick<Statement, 'json'>[]): {
  readonly decided: ReadonlySet<string>;
  readonly claimed: ReadonlySet<string>;
} {
  return {
    decided: new Set(statements.flatMap(({ json }) => entitiesIn(json, groupType))),
    claimed: new Set(statements.flatMap(({ json }) => entitiesIn(json, claimGroupType))),
  };
}

/** The statements about connections or keys that rest on claims. */
export function claimUsesOf(statements: readonly Statement[]): readonly ClaimUse[] {
  return statements.flatMap((statement) => {
    const claims = claimsOf(statement);
    const about = guardedActions.filter((action) => statement.actions.includes(action));
    if (claims.length === 0 || about.length === 0) return [];
    const named = sameNames(namedClaims(statement), claims);
    return [{ statement: statement.id, claims, actions: about, named }];
  });
}

/** The statements about keys or connections that rest on claims without naming them. */
export function unnamedClaims({ claims }: { readonly claims: readonly ClaimUse[] }): readonly ClaimUse[] {
  return claims.filter(({ named }) => !named);
}

/** `patched-only (patched)`, of several statements. */
export function claimsText(uses: readonly ClaimUse[]): string {
  return uses
    .slice(0, NAMED_MAX)
    .map(({ statement, claims }) => `${statement} (${claims.join(', ')})`)
    .join(', ');
}

/** What a draft must be refused for. `claimGroups` are the hub's; undefined where they are not known. */
export function claimFaults(
  statements: readonly Statement[],
  claimGroups: ReadonlySet<string> | undefined,
): readonly Fault[] {
  const faults: Fault[] = [];
  for (const statement of statements) {
    const { id } = statement;
    const { decided, claimed } = groupsNamed([statement]);
    for (const name of decided) {
      if (claimGroups?.has(name) === true)
        faults.push(fault(`${id}: ${name} is a claim group, write ${claimGroupType}::"${name}"`));
    }
    for (const name of claimed) {
      if (claimGroups?.has(name) === false) faults.push(fault(`${id}: there is no claim group ${name}`));
    }
    const claims = claimsOf(statement);
    const named = namedClaims(statement);
    if (statement.json.annotations?.['claims'] !== undefined && !sameNames(named, claims)) {
      faults.push(fault(`${id} names "${named.join(', ')}" in @claims, and rests on "${claims.join(', ')}"`));
    } else if (claimUsesOf([statement]).some((use) => !use.named)) {
      faults.push(
        fault(
          `${id} decides about connections or keys by ${claims.join(', ')}, which devices say of themselves: ask something that the hub decides, or name it, @claims("${claims.join(', ')}")`,
        ),
      );
    }
  }
  return faults;
}

/**
 * A statement of a policy that was applied before the hub knew claim groups: it means the same groups. Other statements are returned as they
 * are.
 */
export function withClaimGroups(statement: Statement, claimGroups: ReadonlySet<string>): Statement {
  const concerned = entitiesIn(statement.json, groupType).some((name) => claimGroups.has(name));
  if (!concerned) return statement;
  const json: PolicyJson = JSON.parse(JSON.stringify(statement.json), (_, value: unknown) =>
    isGroup(value) && claimGroups.has(value.id) ? { ...value, type: claimGroupType } : value,
  );
  return { ...statement, json };
}

/** A permit that rests on claims without naming them permits neither connections nor keys. A forbid only narrows: it goes on. */
export function withoutUnnamedClaims(statement: Statement): Statement {
  if (statement.effect === 'forbid' || claimUsesOf([statement]).every(({ named }) => named)) return statement;
  return { ...statement, actions: statement.actions.filter((action) => !guardedActions.includes(action)) };
}

function claimsOf({ json }: Pick<Statement, 'json'>): readonly string[] {
  const reads = readsOf([{ json }]);
  const context = claimedContext.filter((path) => looksAt(reads, path));
  return [...new Set([...entitiesIn(json, claimGroupType), ...context])].toSorted();
}

function namedClaims({ json }: Pick<Statement, 'json'>): readonly string[] {
  const text = json.annotations?.['claims'] ?? '';
  return text
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '')
    .toSorted();
}

function sameNames(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((name, index) => name === others[index]);
}

function isGroup(value: unknown): value is { readonly type: string; readonly id: string } {
  return (
    value !== null &&
    typeof value === 'object' &&
    'type' in value &&
    value.type === groupType &&
    'id' in value &&
    typeof value.id === 'string'
  );
}

function fault(message: string): Fault {
  return { code: 'policy-rests-on-claims', message };
}
