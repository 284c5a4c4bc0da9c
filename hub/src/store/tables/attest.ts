// The tables that `attest` writes.

export interface AttestTables {
  reference_values: ReferenceValuesRow;
  ima_log: ImaLogRow;
  tpm_clock: TpmClockRow;
  ima_policy: ImaPolicyRow;
  release_evidence: ReleaseEvidenceRow;
  release_evidence_part: ReleaseEvidencePartRow;
  evidence_content: EvidenceContentRow;
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
  /** Which policies they were compared with; what each does not accept is JSON, here and at the start. */
  readonly policy_state: string;
  readonly findings: string;
  readonly start_findings: string;
}

export interface ImaPolicyRow {
  readonly name: string;
  readonly version: string;
  readonly document: Uint8Array;
  readonly signature: string;
  readonly publisher: string;
  readonly published_at: number;
  readonly withdrawn_at: number | null;
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
  readonly progress: 'fits' | 'fast' | 'slow' | 'back';
}

/** What one released key rests on; large parts are in files. */
export interface ReleaseEvidenceRow {
  readonly lease_id: string;
  readonly device_id: string;
  readonly granted_at: number;
  readonly kind: 'tpm' | 'dice' | 'software';
  /** The quote or the statement, and the signature over it. */
  readonly signed: Uint8Array;
  readonly signature: Uint8Array;
  /** The TLS exporter of the connection. */
  readonly exporter: Uint8Array;
  /** The types of wrapped keys that it asked for, JSON; null from an agent of the version before. */
  readonly wraps: string | null;
  /** Where the IMA log of this evidence begins: 0 and empty for a whole log, or none. */
  readonly ima_entries: number;
  readonly ima_value: string;
}

export type EvidencePart = 'event-log' | 'ima-log' | 'chain' | 'origin';

export interface ReleaseEvidencePartRow {
  readonly lease_id: string;
  readonly part: EvidencePart;
  readonly sha256: string;
}

/** A file in the folder `evidence`. */
export interface EvidenceContentRow {
  readonly sha256: string;
  readonly size: number;
}
