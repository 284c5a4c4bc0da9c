// The table that `store` itself writes.

export interface StoreTables {
  hub_name: HubNameRow;
}

/** A name or address under which TLS clients reach this hub, or did (spec/certificates.md, "Names that are hosts"). */
export interface HubNameRow {
  /** In canonical form; a wildcard keeps its star. */
  readonly name: string;
  readonly added_at: number;
}
