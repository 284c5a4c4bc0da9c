// Scopes under the names of the previous version. Stored tokens, policies, tests of policies and recorded decisions contain them. Each is
// read by its present name, so that a statement that forbids by a scope still forbids.
import type { FormerName } from '../former-names.ts';

const present: Readonly<Record<string, string>> = { 'enrolment:write': 'enrollment:write' };
// In a policy a scope is part of a text, whole or as a pattern: "enrolment:write", "enrolment:*", "enrolment*".
const inPolicy = /("[^"\\\n]*)\benrolment(?=[:*])/g;

export function presentScope(name: string): string {
  return formerScope(name)?.present ?? name;
}

/** Undefined for a scope with its present name, or for any other text. */
export function formerScope(name: string): FormerName | undefined {
  const now = Object.hasOwn(present, name) ? present[name] : undefined;
  return now === undefined ? undefined : { former: name, present: now };
}

/** A policy's text with the present names of the scopes in it. */
export function withPresentScopes(policyText: string): string {
  return policyText.replaceAll(inPolicy, '$1enrollment');
}
