// Scopes under the names of the version before. Tokens, policies, tests of policies and kept decisions have them written down; each is read by
// its present name, so that a statement which forbids by a scope goes on forbidding.
import type { FormerName } from '../former-names.ts';

const present: Readonly<Record<string, string>> = { 'enrolment:write': 'enrollment:write' };
// In a policy a scope stands in a text, whole or as a pattern: "enrolment:write", "enrolment:*", "enrolment*".
const inPolicy = /("[^"\\\n]*)\benrolment(?=[:*])/g;

export function presentScope(name: string): string {
  return formerScope(name)?.present ?? name;
}

/** Undefined for a scope that has its present name, or none. */
export function formerScope(name: string): FormerName | undefined {
  const now = Object.hasOwn(present, name) ? present[name] : undefined;
  return now === undefined ? undefined : { former: name, present: now };
}

/** A policy's text with the scopes in it by their present names. */
export function withPresentScopes(policyText: string): string {
  return policyText.replaceAll(inPolicy, '$1enrollment');
}
