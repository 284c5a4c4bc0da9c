// The tables that `audit` writes (spec/audit-log.md).

export interface AuditTables {
  audit_entry: AuditEntryRow;
  audit_checkpoint: AuditCheckpointRow;
}

export interface AuditEntryRow {
  readonly log_index: number;
  readonly entry: Uint8Array;
  readonly leaf_hash: Uint8Array;
}

export interface AuditCheckpointRow {
  readonly size: number;
  readonly note: Uint8Array;
}
