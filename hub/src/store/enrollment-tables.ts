// The tables about enrollment, and about devices before they were wiped (schema.ts).
/** A device that was imported; the row stays after it has enrolled. */
export interface ExpectedDeviceRow {
  readonly id: string;
  /** The only root of trust that may enroll under this id; null for any. */
  readonly root_sha256: string | null;
  readonly imported_at: number;
  /** Its future site; null for the site of its enrollment group. */
  readonly site: string | null;
}

export interface BlockedRootRow {
  readonly root_sha256: string;
  readonly reason: string;
  readonly blocked_at: number;
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

/** An item of a manifest: the digest of a root of trust's SPKI, or of an IDevID certificate. */
export interface EnrollmentListingRow {
  readonly kind: 'root' | 'idevid';
  readonly sha256: string;
  /** Null for an IDevID for which an import only reserves an id. */
  readonly enrolment_group: string | null;
  /** The only device id that it may enroll under; null for any. */
  readonly device_id: string | null;
}

/** A device's identity before it was wiped. */
export interface FormerIdentityRow {
  readonly device_id: string;
  readonly generation: number;
  readonly tier: string;
  readonly identity: string;
  readonly root_sha256: string;
  readonly witness_key: string;
  readonly enrolled_at: number;
  readonly ended_at: number;
  readonly reason: string;
}

/** Every witness key that ever existed, without its name and identifier. */
export interface WitnessKeyRow {
  readonly key: string;
  readonly device_id: string;
}

/** The IDevID that a device has proven; the row stays as long as the device. */
export interface DeviceIdevidRow {
  readonly device_id: string;
  /** Of the certificate, hex. */
  readonly sha256: string;
  /** SHA-256 of the SPKI of the authority that issued it, and of the one that is trusted, hex. */
  readonly issuer_sha256: string;
  readonly anchor_sha256: string;
  /** In lower case: names are compared without case. */
  readonly serial_folded: string;
  readonly serial_number: string;
  readonly issuer: string;
  readonly hardware_type: string;
  readonly hardware_serial: string;
  readonly der: Uint8Array;
  readonly proven_at: number;
}

/** A key that was found to have several holders, until the alert about it is raised. */
export interface KeyDoubleRow {
  /** Of the canonical form, hex. */
  readonly sha256: string;
  /** One line for people. */
  readonly holders: string;
}
