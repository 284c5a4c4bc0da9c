// The tables that `attest` writes.

export interface AttestTables {
  reference_values: ReferenceValuesRow;
  ima_log: ImaLogRow;
  tpm_clock: TpmClockRow;
}

export interface ReferenceValuesRow {
  readonly name: string;
  readonly version: string;
  readonly document: Uint8Array;
  readonly signature: string;
  readonly publisher: string;
  readonly published_at: number;
  readonly withdrawn_at: number | null;
}

/** How much of a device's IMA log was appraised, in which boot. */
export interface ImaLogRow {
  readonly device_id: string;
  readonly reset_count: number;
  readonly restart_count: number;
  readonly entries: number;
  /** PCR 10 of the sha256 bank after them, hex. */
  readonly value: string;
  /** Where the evidence began that proved this: the device knows this position until its next challenge. */
  readonly start_entries: number;
  readonly start_value: string;
}

/** The newest quote of a device: its counters and clock, and the quote of the same boot that the clock is compared with. */
export interface TpmClockRow {
  readonly device_id: string;
  readonly key_name: string;
  readonly reset_count: number;
  readonly restart_count: number;
  /** Milliseconds, decimal: a TPM counts up to 2^64 - 1. */
  readonly clock: string;
  readonly safe: number;
  readonly asked_at: number;
  readonly received_at: number;
  readonly anchor_clock: string;
  readonly anchor_asked_at: number;
  readonly anchor_received_at: number;
  readonly epoch: string;
  readonly progress: 'fits' | 'fast' | 'slow';
}
