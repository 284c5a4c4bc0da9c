// The tables that `access` writes (spec/access.md).

export interface AccessTables {
  policy: PolicyRow;
  access_decision: AccessDecisionRow;
  country_network: CountryNetworkRow;
  post_quantum_rule: PostQuantumRuleRow;
}

export interface PolicyRow {
  readonly version: number;
  readonly digest: string;
  readonly text: string;
  readonly applied_at: number;
  /** The actions of a statement that names none: policies from before there were several actions mean keys. */
  readonly meaning: 'any-action' | 'release-only';
  /** The policy's tests as JSON; null for none. */
  readonly tests: string | null;
  /** The name in the audit log. */
  readonly applied_by: string;
}

/** The groups that need post-quantum protection, as operators set them. */
export interface PostQuantumRuleRow {
  readonly version: number;
  /** Canonical JSON. */
  readonly document: string;
  readonly applied_at: number;
  /** The name in the audit log. */
  readonly applied_by: string;
}

export interface AccessDecisionRow {
  /** Counts up by one. */
  readonly number: number;
  readonly at: number;
  readonly action: string;
  /** As in the audit log: `device:ID`. */
  readonly principal: string;
  readonly permitted: 0 | 1;
  readonly policy_version: number;
  /** Names of the statements that decided, a JSON list. */
  readonly statements: string;
  /** Canonical JSON. */
  readonly question: string;
}

export interface CountryNetworkRow {
  /** In CIDR notation. */
  readonly network: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
}
