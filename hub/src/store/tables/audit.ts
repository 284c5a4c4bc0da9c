// The tables that `audit` writes (spec/audit-log.md).

import type { Generated } from 'kysely';

export interface AuditTables {
  audit_entry: AuditEntryRow;
  audit_checkpoint: AuditCheckpointTable;
  audit_log: AuditLogRow;
  security_row: SecurityRow;
  security_state: SecurityStateRow;
  refused_row: RefusedRow;
  witness_policy: WitnessPolicyRow;
  public_witness: PublicWitnessRow;
  witness_round: WitnessRoundRow;
  witness_cosignature: WitnessCosignatureRow;
}

/** A checkpoint that is open for cosignatures, or was a short time ago; the newest one is open. */
export interface WitnessRoundRow {
  readonly size: number;
  readonly note: Uint8Array;
  readonly started_seconds: number;
}

/** A cosignature that a node gathered. */
export interface WitnessCosignatureRow {
  /** Counts up in the order of the commits. */
  readonly number: number;
  readonly size: number;
  /** The witness: a device, or a public one by its name. */
  readonly device_id: string | null;
  readonly public_name: string | null;
  /** The note of that checkpoint with the lines of the log and of this witness. */
  readonly cosigned: Uint8Array;
}

/** A public witness that was asked at least once. */
export interface PublicWitnessRow {
  /** Its verifier key, as the settings write it. */
  readonly key: string;
  /** The tree that it has seen, as far as is known: where the next proof begins. */
  readonly seen_size: number;
  /** The tree of its last line that verified. */
  readonly cosigned_size: number;
  readonly cosigned_at: number | null;
  readonly asked_at: number | null;
  /** In a row. */
  readonly failures: number;
  readonly problem: string | null;
  /** It is not asked before this time; null: no pause. */
  readonly next_at: number | null;
}

/** A witness policy that an operator set. */
export interface WitnessPolicyRow {
  readonly version: number;
  /** Canonical JSON. */
  readonly document: string;
  readonly applied_at: number;
  /** The name in the audit log. */
  readonly applied_by: string;
}

export interface AuditEntryRow {
  readonly log_index: number;
  readonly entry: Uint8Array;
  readonly leaf_hash: Uint8Array;
}

/** A log that handed over to the next, or the one after the last hand-over; empty before the first one. All have one tree. */
export interface AuditLogRow {
  /** Counts from 1. */
  readonly number: number;
  readonly origin: string;
  readonly spki: Uint8Array;
  /** The first entry that is under its checkpoints alone. */
  readonly first_index: number;
  /** The size at which it ended. */
  readonly closed_size: number | null;
  /** Its last checkpoint. */
  readonly final_note: Uint8Array | null;
}

interface AuditCheckpointTable extends AuditCheckpointRow {
  readonly log: Generated<number>;
}

export interface AuditCheckpointRow {
  readonly size: number;
  readonly note: Uint8Array;
}

/** A row that the log vouches for, by the digest of its text. */
export interface SecurityRow {
  readonly table_name: string;
  readonly digest: string;
  /** Its primary key, for people. Nobody vouches for it. */
  readonly name: string;
}

/** One row. */
export interface SecurityStateRow {
  readonly id: 1;
  /** The newest entry of the log with the digest of the whole state. */
  readonly log_index: number;
  /** The tables and columns that the digests are over, as JSON; that entry has its digest. */
  readonly layout: string;
  /** The newest entry about the state; null in a store that an earlier version wrote last. */
  readonly last_index: number | null;
}

/** A row without an entry, which was removed from its table at a start. */
export interface RefusedRow {
  readonly table_name: string;
  readonly digest: string;
  readonly name: string;
  /** All of its columns, as JSON; bytes in hex. */
  readonly content: string;
  readonly refused_at: number;
}
