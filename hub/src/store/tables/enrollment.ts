// The tables that `enrollment` writes (spec/enrollment-groups.md, spec/device-token.md).

export interface EnrollmentTables {
  enrolment_group: EnrollmentGroupRow;
  enrolment_group_join: EnrollmentGroupJoinRow;
  enrolment_group_token: EnrollmentGroupTokenRow;
  enrolment_token: EnrollmentTokenRow;
  device_secret: DeviceSecretRow;
  used_token: UsedTokenRow;
}

export interface EnrollmentTokenRow {
  readonly sha256: string;
  readonly device_id: string | null;
  readonly tier: string | null;
  readonly created_at: number;
  readonly expires_at: number;
  readonly used_by: string | null;
  /** The API token that it ends with; null for one from before this was kept. */
  readonly made_by: string | null;
  readonly revoked_at: number | null;
}

/** Devices that come with one kind of proof, and what each of them gets as a copy. */
export interface EnrollmentGroupRow {
  readonly name: string;
  readonly kind: 'manifest' | 'token' | 'ca' | 'endorsement-root';
  readonly description: string;
  /** Why nobody may enroll by it now; null while it is open. */
  readonly disabled_reason: string | null;
  /** What a device must be and what it gets, as JSON (`groupTerms`). */
  readonly terms: string;
  /** SHA-256 of the SPKI of its authority, hex; null for a kind without one. */
  readonly anchor_sha256: string | null;
  /** SHA-256 of the authority's subject, in the form in which names are compared, hex. */
  readonly subject_sha256: string | null;
  readonly certificate: Uint8Array | null;
  /** How many devices have enrolled by it. */
  readonly devices: number;
  readonly devices_most: number | null;
  readonly created_at: number;
}

/** A device group that devices of the enrollment group join. */
export interface EnrollmentGroupJoinRow {
  readonly enrolment_group: string;
  readonly device_group: string;
}

export interface EnrollmentGroupTokenRow {
  readonly sha256: string;
  readonly enrolment_group: string;
  readonly created_at: number;
  readonly expires_at: number;
  readonly uses: number;
  readonly uses_most: number;
  /** The API token that it ends with; null for one from before this was kept. */
  readonly made_by: string | null;
  readonly revoked_at: number | null;
}

export interface DeviceSecretRow {
  readonly id: string;
  readonly device_id: string;
  /** Wrapped under the platform key, bound to the device and this row's id. */
  readonly wrapped_secret: Uint8Array;
  readonly created_at: number;
  /** When an older secret ends after a roll-over; null for the newest. */
  readonly expires_at: number | null;
}

export interface UsedTokenRow {
  readonly sha256: string;
  readonly expires_at: number;
}
