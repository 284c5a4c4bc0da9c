// What a token may do (spec/operator-access.md, "Scopes and roles"). Each subject declares its scopes. The roles are in one place on purpose:
// a role is a decision about all subjects at once, a new scope must not get into a role unseen, and no operator can edit one, which would
// widen tokens that were issued long before.
import { presentScope } from '@edgekeep/core/policy/former-scopes';
import { scopes } from '../common/declarations.ts';

export type Scope = (typeof scopes)[number];

const reading: readonly Scope[] = ['devices:read', 'models:read', 'audit:read', 'metrics:read', 'alerts:read'];

/** Named sets of scopes for the work people do. */
export const roles = {
  viewer: reading,
  operator: [...reading, 'devices:write', 'enrollment:write', 'alerts:write', 'tokens:write'],
  publisher: ['devices:read', 'models:read', 'models:publish', 'tokens:write'],
  security: [...reading, 'devices:write', 'policy:write', 'alerts:write', 'tokens:write'],
  administrator: ['admin'],
} as const satisfies Readonly<Record<string, readonly Scope[]>>;
export type Role = keyof typeof roles;

/** Whether a caller with `granted` has `scope`. */
export function covers(granted: readonly string[], scope: Scope): boolean {
  return granted.includes(scope) || granted.includes('admin');
}

/** Every scope of these roles and scopes, each once; unknown names grant nothing. */
export function scopesOf(roleNames: readonly string[], scopeNames: readonly string[]): readonly Scope[] {
  const all = new Set<Scope>();
  for (const name of roleNames) for (const scope of isRole(name) ? roles[name] : []) all.add(scope);
  for (const name of scopeNames) {
    const scope = scopeNamed(name);
    if (scope !== undefined) all.add(scope);
  }
  return [...all];
}

export function isRole(name: string): name is Role {
  return Object.hasOwn(roles, name);
}

/** A scope by its present name or by the one of the previous version, which old tokens and requests contain. */
export function scopeNamed(name: string): Scope | undefined {
  const present = presentScope(name);
  return scopes.find((scope) => scope === present);
}
