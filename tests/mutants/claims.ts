// Mutants of "claims never decide about keys": what devices say of themselves counts as something that the hub knows.
import type { Mutant } from './mutant.ts';

const claims = 'core/src/policy/claims.ts';

export const claimMutants: readonly Mutant[] = [
  {
    id: 'claims/reported',
    file: 'core/src/policy/origins.ts',
    find: "'reported.PATH': 'claimed',",
    replace: "'reported.PATH': 'decided',",
    breaks: 'a group by what devices report is a claim group',
  },
  {
    id: 'claims/guard',
    file: 'core/src/policy/origins.ts',
    find: "'context.guard.walls': 'claimed',\n  'context.guard.missing': 'claimed',",
    replace: "'context.guard.walls': 'measured',\n  'context.guard.missing': 'measured',",
    breaks: 'the walls that a device reports are a claim',
  },
  {
    id: 'claims/kind',
    file: 'hub/src/access/facts.ts',
    find: "claimsOfGroup({ filter }, nowMs).length > 0 ? 'claimed' : 'decided'",
    replace: "claimsOfGroup({ filter }, nowMs).length > 99 ? 'claimed' : 'decided'",
    breaks: 'a device is in a claim group as in one',
  },
  {
    id: 'claims/unnamed',
    file: claims,
    find: 'claimUsesOf([statement]).some((use) => !use.named)',
    replace: 'claimUsesOf([statement]).some((use) => use.claims.length === 0)',
    breaks: 'a policy that rests on claims without naming them is refused',
  },
  {
    id: 'claims/exactly',
    file: claims,
    find: 'return some.length === others.length && some.every(',
    replace: 'return some.length === others.length || some.some(',
    breaks: 'the annotation names exactly what the statement rests on',
  },
  {
    id: 'claims/stored',
    file: 'core/src/policy/policy.ts',
    find: '...statements.map(withoutUnnamedClaims), ...builtInFor(statements)',
    replace: '...statements, ...builtInFor(statements)',
    breaks: 'a stored permit by claims gives no key',
  },
  {
    id: 'claims/built-in',
    file: 'core/src/policy/policy.ts',
    find: '...builtInFor(statements)];',
    replace: '...builtInFor(statements.map(withoutUnnamedClaims))];',
    breaks: 'the built-in permit of connections does not come back in the place of a permit by claims',
  },
  {
    id: 'claims/former-name',
    file: 'core/src/policy/policy.ts',
    find: 'stored && claimGroups !== undefined',
    replace: 'stored && claimGroups === undefined',
    breaks: 'a stored forbid of a claim group by its former name goes on',
  },
  {
    id: 'claims/workload',
    file: 'hub/src/workload/declarations.ts',
    find: 'if (claimed.has(group)) continue;',
    replace: '',
    breaks: 'a claim group declares no workload',
  },
  {
    id: 'claims/meanwhile',
    file: 'hub/src/access/policy-store.ts',
    find: "if (fault !== undefined) throw new HubError('conflict',",
    replace: "if (fault !== undefined && before < 0) throw new HubError('conflict',",
    breaks: 'a group that became a claim group meanwhile refuses the draft',
  },
];
