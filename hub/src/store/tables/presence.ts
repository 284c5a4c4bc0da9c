// The tables that `presence` writes (spec/presence.md).

export interface PresenceTables {
  hub_node: HubNodeRow;
  presence: PresenceRow;
  token_rival: TokenRivalRow;
}

/** A running hub process; one without a heartbeat for a while has ended without notice. */
export interface HubNodeRow {
  readonly id: string;
  readonly seen_at: number;
}

/** A live connection that its device bound. Its node deletes the row when the connection ends. */
export interface PresenceRow {
  readonly id: string;
  readonly node_id: string;
  readonly device_id: string;
  readonly address: string;
  /** The serial of its certificate, and that certificate's lineage. */
  readonly serial: string;
  readonly lineage: number;
  readonly bound_at: number;
  /** The newest request that its node reported, and when: a node writes this when another node asks, not with every request. */
  readonly used_at: number;
  readonly told_at: number;
  /** 1 while its node has not seen something yet: a conflicting session, or that this connection must end. */
  readonly asked: 0 | 1;
  readonly rival_address: string | null;
  readonly rival_serial: string | null;
  /** The row of the conflicting session, if that was let in as well. */
  readonly rival_id: string | null;
  /** 1 once it was used beside a conflicting session: its device is in two places. */
  readonly contested: 0 | 1;
  readonly ends: 0 | 1;
}

/** A token device's refused attempt from another address, until the next accepted token shows which of the two it is. */
export interface TokenRivalRow {
  readonly device_id: string;
  readonly address: string;
  readonly at: number;
}
