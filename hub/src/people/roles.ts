// What a token may do (spec/operator-access.md, "Scopes and roles"). The roles stand here and nowhere else: a role that somebody could
// edit would widen tokens that were handed out long before.

/** `admin` is all of them. */
export const scopes = [
  'devices:read',
  'devices:write',
  'enrolment:write',
  'models:read',
  'models:publish',
  'policy:write',
  'audit:read',
  'metrics:read',
  'alerts:read',
  'alerts:write',
  'tokens:write',
  'admin',
] as const;
export type Scope = (typeof scopes)[number];

const reading: readonly Scope[] = ['devices:read', 'models:read', 'audit:read', 'metrics:read', 'alerts:read'];

/** Named sets of scopes for the work people do. */
export const roles = {
  viewer: reading,
  operator: [...reading, 'devices:write', 'enrolment:write', 'alerts:write', 'tokens:write'],
  publisher: ['devices:read', 'models:read', 'models:publish', 'tokens:write'],
  security: [...reading, 'devices:write', 'policy:write', 'alerts:write', 'tokens:write'],
  administrator: ['admin'],
} as const satisfies Readonly<Record<string, readonly Scope[]>>;
export type Role = keyof typeof roles;

/** Whether somebody with `granted` may do what needs `scope`. */
export function covers(granted: readonly string[], scope: Scope): boolean {
  return granted.includes(scope) || granted.includes('admin');
}

/** Every scope that these roles and scopes name, each once; what is no longer known grants nothing. */
export function scopesOf(roleNames: readonly string[], scopeNames: readonly string[]): readonly Scope[] {
  const all = new Set<Scope>();
  for (const name of roleNames) for (const scope of isRole(name) ? roles[name] : []) all.add(scope);
  for (const name of scopeNames) if (isScope(name)) all.add(name);
  return [...all];
}

export function isRole(name: string): name is Role {
  return Object.hasOwn(roles, name);
}

export function isScope(name: string): name is Scope {
  return scopes.some((scope) => scope === name);
}
