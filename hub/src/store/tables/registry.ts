// The tables that `registry` writes (spec/registry.md).
import type { deviceStates } from '@edgekeep/wire/api/words';
import type { Generated, Selectable } from 'kysely';

export interface RegistryTables {
  device: DeviceTable;
  device_idevid: DeviceIdevidRow;
  device_tag: DeviceTagRow;
  device_document: DeviceDocumentRow;
  device_attribute: DeviceAttributeRow;
  device_history: DeviceHistoryRow;
  device_group: DeviceGroupRow;
  device_group_member: DeviceGroupMemberRow;
  expected_device: ExpectedDeviceRow;
  blocked_root: BlockedRootRow;
  enrolment_listing: EnrollmentListingRow;
  witness_key: WitnessKeyRow;
  device_hybrid_key: HybridKeyRow;
  device_witnessed: WitnessedRow;
  former_witness_key: FormerWitnessKeyRow;
}

/** The newest checkpoint that a device cosigned. */
interface WitnessedRow {
  readonly device_id: string;
  readonly size: number;
  /** The signed note, with the cosignature. */
  readonly note: Uint8Array;
  readonly witnessed_at: number;
}

/** A witness key that its device lost. */
interface FormerWitnessKeyRow {
  readonly device_id: string;
  /** Counts from 1 for each device. */
  readonly number: number;
  readonly tier: string;
  readonly witness_key: string;
  readonly ended_at: number;
}

/** A device without a row has no hybrid key. */
interface HybridKeyRow {
  readonly device_id: string;
  /** 1216 bytes (spec/hpke.md); one key is one device's. */
  readonly public_key: Uint8Array;
  readonly registered_at: number;
}

/** DESIGN: registered -> active -> (suspect) -> quarantined -> wiped -> active | retired. */
export type DeviceState = (typeof deviceStates)[number];

export interface DeviceRow {
  readonly id: string;
  readonly tier: string;
  readonly state: DeviceState;
  readonly state_reason: string;
  /** The root of trust's description at enrollment (public keys only), as JSON. */
  readonly identity: string;
  /** SHA-256 of the endorsement key's or software key's SPKI, hex: one physical root of trust is one device. */
  readonly root_sha256: string;
  readonly witness_key: string;
  readonly enrolled_at: number;
  readonly seen_at: number;
  /** The TPM's resetCount of the newest quote; a quote with a lower one is a replay. -1 before the first. */
  readonly reset_count: number;
  /** The newest appraisal as JSON, or null before the first. */
  readonly appraisal: string | null;
  readonly appraised_at: number | null;
  /** Newest counts the guard reported, as JSON. */
  readonly counts: string | null;
}

/** The values that the store sets for a new device. */
interface DeviceTable extends DeviceRow {
  /** Status of the newest appraisal, `none` before the first: used by filters. */
  readonly attestation: Generated<string>;
  /** By what a secure element has its tier; null for other tiers, and for one that enrolled by its IDevID before there was this rule. */
  readonly tier_vouched: Generated<'token' | 'manufacturer' | null>;
  /** Why the device is switched off; null when it is not. */
  readonly disabled_reason: Generated<string | null>;
  /** From which address, when and with which certificate it was last bound; null before the first time. */
  readonly bound_address: Generated<string | null>;
  readonly bound_at: Generated<number | null>;
  readonly bound_serial: Generated<string | null>;
  /** Name of its site; null for none. */
  readonly site: Generated<string | null>;
  /** The enrollment group that admitted it; null when none matched. */
  readonly enrolment_group: Generated<string | null>;
  /** Which of its identities this is: 1, and one more each time it enrolled again after a wipe. */
  readonly generation: Generated<number>;
  /** While it is wiped: the root of trust that it must return with, if an operator ordered another one. */
  readonly next_root_sha256: Generated<string | null>;
  /** How far its clock is ahead of the hub's, from its last report; null before. */
  readonly clock_skew_seconds: Generated<number | null>;
  /** What makes it count together with other devices as one witness: the token that it enrolled by; empty when it counts for itself. */
  readonly witness_origin: Generated<string>;
  /** Its report about its guards, as JSON (wire/src/api/guard-report.ts); null before the first. */
  readonly guard: Generated<string | null>;
  /** The common name in the IDevID that it proved; null without one, and for those that enrolled before it was kept. */
  readonly product: Generated<string | null>;
  /** Name and version of the reference values that its newest boot matches, whether or not they count now; null for none. */
  readonly booted: Generated<string | null>;
}

/** All data of a device itself. */
export type DeviceRecord = Selectable<DeviceTable>;

/** Tags may exist before the device does: an import sets them in advance. */
export interface DeviceTagRow {
  readonly device_id: string;
  readonly key: string;
  readonly value: string;
}

export type DocumentSide = 'desired' | 'reported';

export interface DeviceDocumentRow {
  readonly device_id: string;
  readonly side: DocumentSide;
  /** Grows by one with every change. */
  readonly version: number;
  readonly document: string;
  readonly updated_at: number;
}

/** One leaf of a document, for filters. */
export interface DeviceAttributeRow {
  readonly device_id: string;
  readonly side: DocumentSide;
  /** Keys from the top, joined by dots. */
  readonly path: string;
  /** As written in JSON, strings without quotes; null when too long to be compared. */
  readonly text_value: string | null;
  readonly number_value: number | null;
}

export interface DeviceHistoryRow {
  readonly device_id: string;
  /** Of the audit entry that records the change. */
  readonly log_index: number;
  readonly at: number;
  readonly from_state: string;
  readonly to_state: string;
  readonly reason: string;
  readonly actor: string;
}

export interface DeviceGroupRow {
  readonly name: string;
  readonly description: string;
  /** Null for a group whose members are named. */
  readonly filter: string | null;
  readonly created_at: number;
}

export interface DeviceGroupMemberRow {
  readonly group_name: string;
  readonly device_id: string;
}

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

/** An item of a manifest: the digest of a root of trust's SPKI, or of an IDevID certificate. */
export interface EnrollmentListingRow {
  readonly kind: 'root' | 'idevid';
  readonly sha256: string;
  /** Null for an IDevID for which an import only reserves an id. */
  readonly enrolment_group: string | null;
  /** The only device id that it may enroll under; null for any. */
  readonly device_id: string | null;
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
