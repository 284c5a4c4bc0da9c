// The tables that `revocation` writes (spec/revocation.md).
import type { Generated, Selectable } from 'kysely';

export interface RevocationTables {
  certificate: CertificateTable;
  lease: LeaseTable;
  revocation_state: RevocationStateRow;
  revocation: RevocationRow;
}

export interface CertificateRow {
  readonly serial: string;
  readonly device_id: string;
  readonly sha256: string;
  readonly der: Uint8Array;
  readonly not_before: number;
  readonly not_after: number;
  readonly revoked_at: number | null;
  /** A reason of RFC 5280 section 5.3.1 by its name; null on a valid certificate. */
  readonly revocation_reason: string | null;
}

interface CertificateTable extends CertificateRow {
  /** Grows with every enrollment and recovery of the device; `renewal` with every renewal in it. */
  readonly lineage: Generated<number>;
  readonly renewal: Generated<number>;
  /** The workload on the device that owns it; null for the device's own. */
  readonly workload: Generated<string | null>;
  /** Id of the issuing CA; empty on rows from before there were several, until the next start. */
  readonly issuer: Generated<string>;
  /** SHA-256 of the certified key's SPKI, hex: a key serves one identity. */
  readonly spki_sha256: Generated<string | null>;
  /** The number of the device's identity that it belongs to. */
  readonly generation: Generated<number>;
}

/** One row: counters that grow inside the transaction of what they count, so a reader of `version` N sees everything up to N. */
export interface RevocationStateRow {
  readonly id: 1;
  readonly version: number;
  readonly crl_number: number;
}

/** What every hub node must cut off: a certificate's connections, or all of the device where `serial` is empty. */
export interface RevocationRow {
  readonly version: number;
  readonly device_id: string;
  readonly serial: string;
}

export interface LeaseRow {
  readonly id: string;
  readonly device_id: string;
  readonly model: string;
  readonly version: string;
  /** The lease as signed into the log, canonical JSON. */
  readonly document: string;
  readonly not_after: number;
  readonly revoked_at: number | null;
  readonly log_index: number;
  readonly attestation_result: string;
}

interface LeaseTable extends LeaseRow {
  /** Null on leases from before it was stored. */
  readonly granted_at: Generated<number | null>;
  /** The address that asked for it, and how long the response to the challenge took. */
  readonly address: Generated<string | null>;
  readonly round_trip_ms: Generated<number | null>;
  /** `type` of its wrapped key; null for the form before. */
  readonly wrap: Generated<string | null>;
}

export type LeaseRecord = Selectable<LeaseTable>;
