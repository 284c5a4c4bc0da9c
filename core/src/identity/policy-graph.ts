// Certificate policies along a path (RFC 5280 section 6.1), kept as a graph with one node for each policy on a level (RFC 9618): a tree of
// the same certificates grows without limit, and brought OpenSSL down (CVE-2023-0464).
import type { Certificate } from './certificate.ts';
import { equalNames } from './distinguished-name.ts';
import { anyPolicyOid } from './oid.ts';
import type { PolicyMapping } from './policy-extensions.ts';

/** The caller's requirements on policies (RFC 5280 section 6.1.1, c to g). Left out: any policy is accepted, and none is required. */
export interface PolicyRules {
  /** Object identifiers of the policies that are acceptable; undefined for all. */
  readonly initialPolicies?: readonly string[] | undefined;
  readonly requireExplicit?: boolean | undefined;
  readonly inhibitMapping?: boolean | undefined;
  readonly inhibitAnyPolicy?: boolean | undefined;
}

interface Node {
  /** Policies by which the next certificate may continue this one. */
  readonly expected: readonly string[];
  /** The policies, in the anchor's own terms, that led here; any policy among them means all. */
  readonly origins: ReadonlySet<string>;
}

/** The nodes of one level, by policy; an empty level means that no policy is valid for the path. */
type Level = ReadonlyMap<string, Node>;

interface State {
  level: Level;
  /** Of the level before: whether it has a node for any policy. */
  anyAbove: boolean;
  explicitPolicy: number;
  policyMapping: number;
  inhibitAnyPolicy: number;
}

/**
 * Why the policies along a path do not allow it; undefined when they do. `chain` has the leaf first; the anchor, whose policies do not
 * count, is last.
 */
export function policyProblem(chain: readonly Certificate[], rules: PolicyRules = {}): string | undefined {
  const path = chain.slice(0, -1).toReversed();
  const off = path.length + 1;
  const state: State = {
    level: new Map([[anyPolicyOid, { expected: [anyPolicyOid], origins: new Set([anyPolicyOid]) }]]),
    anyAbove: false,
    explicitPolicy: rules.requireExplicit === true ? 0 : off,
    policyMapping: rules.inhibitMapping === true ? 0 : off,
    inhibitAnyPolicy: rules.inhibitAnyPolicy === true ? 0 : off,
  };
  for (const [at, certificate] of path.entries()) {
    const last = at === path.length - 1;
    processPolicies(state, certificate, last);
    // 6.1.3 (f).
    if (state.explicitPolicy === 0 && state.level.size === 0) return noPolicy;
    const problem = last ? undefined : prepareForNext(state, certificate);
    if (problem !== undefined) return problem;
  }
  return wrapUp(state, path.at(-1), rules.initialPolicies);
}

const noPolicy = 'the path needs a certificate policy, and none holds for all of its certificates';

// 6.1.3 (d) and (e).
function processPolicies(state: State, certificate: Certificate, last: boolean): void {
  const policies = certificate.extensions.certificatePolicies;
  const { level } = state;
  state.anyAbove = level.has(anyPolicyOid);
  if (policies === undefined || level.size === 0) {
    state.level = new Map();
    return;
  }
  const next = new Map<string, Node>();
  const add = (policy: string, origins: ReadonlySet<string>) => next.set(policy, { expected: [policy], origins });
  for (const policy of policies.filter((each) => each !== anyPolicyOid)) {
    const origins = originsOf(level, policy);
    // (1) (i), (ii): a policy derived from any policy is a policy in the anchor's own terms.
    if (origins.size > 0) add(policy, origins);
    else if (level.has(anyPolicyOid)) add(policy, new Set([policy]));
  }
  // (2).
  const anyCounts = state.inhibitAnyPolicy > 0 || (!last && isSelfIssued(certificate));
  if (policies.includes(anyPolicyOid) && anyCounts) {
    for (const policy of new Set([...level.values()].flatMap(({ expected }) => expected))) {
      if (!next.has(policy)) add(policy, originsOf(level, policy));
    }
  }
  state.level = next;
}

function originsOf(level: Level, policy: string): ReadonlySet<string> {
  const parents = [...level.values()].filter(({ expected }) => expected.includes(policy));
  return new Set(parents.flatMap(({ origins }) => [...origins]));
}

// 6.1.4.
function prepareForNext(state: State, certificate: Certificate): string | undefined {
  const { policyMappings = [], policyConstraints, inhibitAnyPolicy } = certificate.extensions;
  // (a).
  if (policyMappings.some((pair) => pair.issuerPolicy === anyPolicyOid || pair.subjectPolicy === anyPolicyOid)) {
    return 'an authority maps a certificate policy to or from any policy';
  }
  state.level = mapped(state, policyMappings);
  // (h): self-issued certificates do not count.
  if (!isSelfIssued(certificate)) {
    state.explicitPolicy = Math.max(0, state.explicitPolicy - 1);
    state.policyMapping = Math.max(0, state.policyMapping - 1);
    state.inhibitAnyPolicy = Math.max(0, state.inhibitAnyPolicy - 1);
  }
  // (i), (j).
  state.explicitPolicy = Math.min(state.explicitPolicy, policyConstraints?.requireExplicit ?? Infinity);
  state.policyMapping = Math.min(state.policyMapping, policyConstraints?.inhibitMapping ?? Infinity);
  state.inhibitAnyPolicy = Math.min(state.inhibitAnyPolicy, inhibitAnyPolicy ?? Infinity);
  return undefined;
}

// (b).
function mapped({ level, anyAbove, policyMapping }: State, mappings: readonly PolicyMapping[]): Level {
  const next = new Map(level);
  for (const [policy, pairs] of Map.groupBy(mappings, ({ issuerPolicy }) => issuerPolicy)) {
    const node = level.get(policy);
    const expected = [...new Set(pairs.map(({ subjectPolicy }) => subjectPolicy))];
    if (policyMapping === 0) next.delete(policy);
    else if (node !== undefined) next.set(policy, { ...node, expected });
    else if (level.has(anyPolicyOid) && anyAbove) next.set(policy, { expected, origins: new Set([policy]) });
  }
  return next;
}

// 6.1.5.
function wrapUp(
  state: State,
  leaf: Certificate | undefined,
  initial: readonly string[] | undefined,
): string | undefined {
  const required = leaf?.extensions.policyConstraints?.requireExplicit === 0;
  const explicitPolicy = required ? 0 : Math.max(0, state.explicitPolicy - 1);
  if (explicitPolicy > 0) return undefined;
  const accepted = [...state.level.values()].some(({ origins }) =>
    [...origins].some((origin) => initial === undefined || origin === anyPolicyOid || initial.includes(origin)),
  );
  if (accepted) return undefined;
  return state.level.size === 0 ? noPolicy : 'no certificate policy of the path is among the acceptable ones';
}

function isSelfIssued(certificate: Certificate): boolean {
  return equalNames(certificate.subject, certificate.issuer);
}
