// The tables that `respond` writes.

export interface RespondTables {
  key_double: DuplicateKeyRow;
  former_identity: FormerIdentityRow;
  value_double: DuplicateValueRow;
}

/** A value that was stored in several forms, noted by the migration that made it canonical. */
export interface DuplicateValueRow {
  readonly kind: string;
  readonly value: string;
  readonly detail: string;
}

/** A device's identity before it was wiped. */
export interface FormerIdentityRow {
  readonly device_id: string;
  readonly generation: number;
  readonly tier: string;
  readonly identity: string;
  readonly root_sha256: string;
  readonly witness_key: string;
  readonly enrolled_at: number;
  readonly ended_at: number;
  readonly reason: string;
}

/** A key that was found to have several holders, until the alert about it is raised. */
export interface DuplicateKeyRow {
  /** Of the canonical form, hex. */
  readonly sha256: string;
  /** One line for people. */
  readonly holders: string;
}
