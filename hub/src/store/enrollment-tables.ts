// The tables about who may enrol, and what devices were before they were wiped (schema.ts).
/** A device that was imported; the row stays when it has enrolled. */
export interface ExpectedDeviceRow {
  readonly id: string;
  /** The only root of trust that may enrol under this id; null for any. */
  readonly root_sha256: string | null;
  readonly imported_at: number;
  /** Where it will stand; null for what its enrolment group says. */
  readonly site: string | null;
}

export interface BlockedRootRow {
  readonly root_sha256: string;
  readonly reason: string;
  readonly blocked_at: number;
}

/** Devices that come with one kind of proof, and what is copied to each of them. */
export interface EnrolmentGroupRow {
  readonly name: string;
  readonly kind: 'manifest' | 'token' | 'ca' | 'endorsement-root';
  readonly description: string;
  /** Why nobody may enrol by it now; null while it is open. */
  readonly disabled_reason: string | null;
  /** What a device must be and what it gets, as JSON (`groupTerms`). */
  readonly terms: string;
  /** SHA-256 of the SPKI of the authority it stands for, hex; null for a kind that has none. */
  readonly anchor_sha256: string | null;
  /** SHA-256 of the authority's subject, in the form names are compared in, hex. */
  readonly subject_sha256: string | null;
  readonly certificate: Uint8Array | null;
  /** How many devices have enrolled by it. */
  readonly devices: number;
  readonly devices_most: number | null;
  readonly created_at: number;
}

/** A device group that devices of the enrolment group become members of. */
export interface EnrolmentGroupJoinRow {
  readonly enrolment_group: string;
  readonly device_group: string;
}

export interface EnrolmentGroupTokenRow {
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

/** What a manifest lists: the digest of a root of trust's SPKI, or of an IDevID certificate. */
export interface EnrolmentListingRow {
  readonly kind: 'root' | 'idevid';
  readonly sha256: string;
  /** Null for an IDevID that an import keeps an id for, and no more. */
  readonly enrolment_group: string | null;
  /** The only device id it may enrol under; null for any. */
  readonly device_id: string | null;
}

/** What a device was before it was wiped. */
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

/** Every witness key there ever was, without its name and identifier. */
export interface WitnessKeyRow {
  readonly key: string;
  readonly device_id: string;
}

/** The IDevID a device has proven; the row stays as long as the device. */
export interface DeviceIdevidRow {
  readonly device_id: string;
  /** Of the certificate, hex. */
  readonly sha256: string;
  /** SHA-256 of the SPKI of the authority that issued it, and of the one that is trusted, hex. */
  readonly issuer_sha256: string;
  readonly anchor_sha256: string;
  /** In lower case: names compare without it. */
  readonly serial_folded: string;
  readonly serial_number: string;
  readonly issuer: string;
  readonly hardware_type: string;
  readonly hardware_serial: string;
  readonly der: Uint8Array;
  readonly proven_at: number;
}

/** A key that turned out to have several holders, until the alert about it is raised. */
export interface KeyDoubleRow {
  /** Of the canonical form, hex. */
  readonly sha256: string;
  /** One line for people. */
  readonly holders: string;
}
