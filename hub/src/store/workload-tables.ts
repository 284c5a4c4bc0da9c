// The tables about workloads (spec/workload.md).

/** What an operator wants to run where. */
export interface WorkloadDeclarationRow {
  readonly target_kind: 'device' | 'group';
  readonly target: string;
  readonly name: string;
  readonly description: string;
  readonly declared_at: number;
}

/** What became of it on one device. */
export interface WorkloadRow {
  readonly device_id: string;
  readonly name: string;
  /** Of its first certificate. */
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
