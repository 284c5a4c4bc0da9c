// The tables about access: policies, recorded decisions, and the facts that conditions use (spec/access.md, spec/site.md).

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

/** A value that was stored in several forms, noted by the migration that made it canonical. */
export interface ValueDoubleRow {
  readonly kind: string;
  readonly value: string;
  readonly detail: string;
}

export interface CountryNetworkRow {
  /** In CIDR notation. */
  readonly network: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string;
}

export interface SiteRow {
  readonly name: string;
  readonly description: string;
  /** A name of the IANA database. */
  readonly time_zone: string;
  /** In CIDR notation, a space between two. */
  readonly networks: string;
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null;
  /** Degrees, WGS 84; all three or none of them. */
  readonly latitude: number | null;
  readonly longitude: number | null;
  readonly radius_metres: number | null;
  /** Purdue level: 0, 1, 2, 3, 3.5, 4 or 5. */
  readonly zone: string | null;
  readonly created_at: number;
}
