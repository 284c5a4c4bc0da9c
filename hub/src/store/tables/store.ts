// The tables that `store` itself writes.

export interface StoreTables {
  hub_name: HubNameRow;
  hub_time: HubTimeRow;
  job_lease: JobLeaseRow;
  job_request: JobRequestRow;
  table_revision: TableRevisionRow;
  store_floor: StoreFloorRow;
  store_move: StoreMoveRow;
}

/** The mark of a store that is not in use (docs/design/postgresql.md, "Moving a store"): one row, or none. */
export interface StoreMoveRow {
  readonly id: number;
  readonly state: string;
  readonly move: string;
  /** JSON. */
  readonly other: string;
  readonly entries: number;
  readonly newest: string;
  readonly at: number;
}

/** A name or address under which TLS clients reach this hub, or did (spec/certificates.md, "Names that are hosts"). */
export interface HubNameRow {
  /** In canonical form; a wildcard keeps its star. */
  readonly name: string;
  readonly added_at: number;
}

/** The latest time that this hub has seen (docs/design/hub-time.md): one row. */
export interface HubTimeRow {
  readonly name: string;
  readonly seen_at: number;
}

/** How often a table was changed, on a store that several nodes write to. */
export interface TableRevisionRow {
  readonly table_name: string;
  readonly revision: number;
}

/** The node that does the work that one node must do: one row. */
export interface JobLeaseRow {
  readonly id: number;
  readonly node: string;
  /** Rises when another node takes the lease. */
  readonly term: number;
  /** By the store's own clock. */
  readonly expires_at: number;
}

/** A job that waits for the node that leads. */
export interface JobRequestRow {
  readonly job: string;
  /** The node that asked. */
  readonly node: string;
}

/** The newest migration that a node must know to use this store: one row. */
export interface StoreFloorRow {
  readonly id: number;
  readonly migration: string;
}
