// The tables of who is where (spec/presence.md).

/** A running hub process; one that was not seen for a while has ended without a word. */
export interface HubNodeRow {
  readonly id: string;
  readonly seen_at: number;
}

/** A live connection that its device bound. Its node deletes it when the connection ends. */
export interface PresenceRow {
  readonly id: string;
  readonly node_id: string;
  readonly device_id: string;
  readonly address: string;
  /** Of the certificate it was opened with, and that certificate's lineage. */
  readonly serial: string;
  readonly lineage: number;
  readonly bound_at: number;
  /** The newest request that its node told of, and when it told: a node writes this when it is asked, not with every request. */
  readonly used_at: number;
  readonly told_at: number;
  /** 1 while there is something its node has not seen yet: a rival, or that this connection has to end. */
  readonly asked: 0 | 1;
  readonly rival_address: string | null;
  readonly rival_serial: string | null;
  /** The rival's own row, when it was let in as well. */
  readonly rival_id: string | null;
  /** 1 once it was used beside a rival: its device is in two places. */
  readonly contested: 0 | 1;
  readonly ends: 0 | 1;
}

/** Nobody may connect from there until it ends (hub/src/address/blocks.ts). */
export interface AddressBlockRow {
  /** In CIDR notation, in its one form. */
  readonly network: string;
  readonly reason: string;
  readonly blocked_by: string;
  readonly blocked_at: number;
  readonly expires_at: number;
}

/** A token device's refused attempt from another address, until the next accepted token says which of the two it is. */
export interface TokenRivalRow {
  readonly device_id: string;
  readonly address: string;
  readonly at: number;
}
