// The four extensions about policies (RFC 5280 sections 4.2.1.4, 4.2.1.5, 4.2.1.11, 4.2.1.14), read. What they mean for a path is in
// policy-graph.ts.
import { contextTag, type DerReader } from '../der.ts';
import { CoreError } from '../error.ts';

// Authorities in use have under ten; these limit the work on a hostile one.
const POLICIES_MAX = 64;
const MAPPINGS_MAX = 64;

export interface PolicyMapping {
  readonly issuerPolicy: string;
  readonly subjectPolicy: string;
}

export interface PolicyConstraints {
  /** After how many more certificates a path needs a policy. */
  readonly requireExplicit: number | undefined;
  /** After how many more certificates mappings are ignored. */
  readonly inhibitMapping: number | undefined;
}

/** Object identifiers of policies; their qualifiers are for people. */
export function readPolicies(reader: DerReader): readonly string[] {
  const list = reader.inside();
  const policies = new Set<string>();
  while (!list.done) {
    if (policies.size === POLICIES_MAX) throw invalid(`over ${POLICIES_MAX} policies`);
    const policy = list.inside().oid();
    if (policies.has(policy)) throw invalid(`the policy ${policy} occurs twice`);
    policies.add(policy);
  }
  if (policies.size === 0) throw invalid('an empty list of policies');
  return [...policies];
}

export function readPolicyMappings(reader: DerReader): readonly PolicyMapping[] {
  const list = reader.inside();
  const mappings: PolicyMapping[] = [];
  while (!list.done) {
    if (mappings.length === MAPPINGS_MAX) throw invalid(`over ${MAPPINGS_MAX} mappings`);
    const pair = list.inside();
    mappings.push({ issuerPolicy: pair.oid(), subjectPolicy: pair.oid() });
    pair.end();
  }
  if (mappings.length === 0) throw invalid('an empty list of mappings');
  return mappings;
}

export function readPolicyConstraints(reader: DerReader): PolicyConstraints {
  const constraints = reader.inside();
  const field = (number: number) => {
    const tag = contextTag(number, false);
    return constraints.nextTag === tag ? constraints.smallInteger(tag) : undefined;
  };
  const read = { requireExplicit: field(0), inhibitMapping: field(1) };
  constraints.end();
  // RFC 5280 section 4.2.1.11: an empty one has no effect, and authorities must not issue it.
  if (read.requireExplicit === undefined && read.inhibitMapping === undefined)
    throw invalid('policy constraints without a constraint');
  return read;
}

export function readInhibitAnyPolicy(reader: DerReader): number {
  return reader.smallInteger();
}

function invalid(problem: string): CoreError {
  return new CoreError('der-invalid', `certificate policies: ${problem}`);
}
