// The tables that `store` itself writes.

export interface StoreTables {
  hub_name: HubNameRow;
  hub_time: HubTimeRow;
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
