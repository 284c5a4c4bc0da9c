// The tables that `workload` writes (spec/workload.md).

export interface WorkloadTables {
  workload_declaration: WorkloadDeclarationRow;
  workload: WorkloadRow;
  workload_history: WorkloadHistoryRow;
}

/** A workload that an operator wants, and where it runs. */
export interface WorkloadDeclarationRow {
  readonly target_kind: 'device' | 'group';
  readonly target: string;
  readonly name: string;
  readonly description: string;
  readonly declared_at: number;
}

/** Its state on one device. */
export interface WorkloadRow {
  readonly device_id: string;
  readonly name: string;
  /** When its first certificate was issued. */
  readonly registered_at: number | null;
  readonly disabled_reason: string | null;
}

export interface WorkloadHistoryRow {
  readonly device_id: string;
  readonly name: string;
  /** Of the audit entry that records the change. */
  readonly log_index: number;
  readonly at: number;
  readonly change: string;
  readonly reason: string;
  readonly actor: string;
}
