// The tables that `address` writes.

export interface AddressTables {
  address_block: AddressBlockRow;
}

/** No client may connect from there until it ends (hub/src/address/blocks.ts). */
export interface AddressBlockRow {
  /** In CIDR notation, in canonical form. */
  readonly network: string;
  readonly reason: string;
  readonly blocked_by: string;
  readonly blocked_at: number;
  readonly expires_at: number;
}
