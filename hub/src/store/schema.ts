// The tables as Kysely sees them. Times are unix milliseconds, bytes are blobs, flags and states are text: a subset that SQLite and
// PostgreSQL share.
import type { AlertKind, AlertSeverity, AlertState } from '@edgekeep/wire/api/alert';
import type { Generated, Selectable } from 'kysely';
import type { DeviceRootRow, ExpiryAlarmRow, IssuingAuthorityRow, RootAuthorityRow } from './authority-tables.ts';
import type { AccessDecisionRow, CountryNetworkRow, PolicyRow, SiteRow, ValueDoubleRow } from './access-tables.ts';
import type {
  BlockedRootRow,
  DeviceIdevidRow,
  EnrollmentGroupJoinRow,
  EnrollmentGroupRow,
  EnrollmentGroupTokenRow,
  EnrollmentListingRow,
  ExpectedDeviceRow,
  FormerIdentityRow,
  WitnessKeyRow,
  KeyDoubleRow,
} from './enrollment-tables.ts';
import type { DeviceModelRow, ModelGroupRow } from './device-model-tables.ts';
import type { ApiTokenTable, ApprovalRow, PersonRow } from './operator-tables.ts';
import type { AddressBlockRow, HubNodeRow, PresenceRow, TokenRivalRow } from './presence-tables.ts';
import type { ImaLogRow } from './ima-log-table.ts';
import type { DeviceSecretRow, UsedTokenRow } from './token-device-tables.ts';
import type { DeviceMakerPathRow, DeviceMakerRow, VendorRootRow, VendorRootStateRow } from './vendor-root-tables.ts';
import type { WorkloadDeclarationRow, WorkloadHistoryRow, WorkloadRow } from './workload-tables.ts';

export interface Tables {
  device: DeviceTable;
  device_idevid: DeviceIdevidRow;
  device_maker: DeviceMakerRow;
  device_maker_path: DeviceMakerPathRow;
  device_model: DeviceModelRow;
  model_group: ModelGroupRow;
  device_tag: DeviceTagRow;
  device_document: DeviceDocumentRow;
  device_attribute: DeviceAttributeRow;
  device_history: DeviceHistoryRow;
  device_group: DeviceGroupRow;
  device_group_member: DeviceGroupMemberRow;
  expected_device: ExpectedDeviceRow;
  blocked_root: BlockedRootRow;
  key_double: KeyDoubleRow;
  enrolment_group: EnrollmentGroupRow;
  enrolment_group_join: EnrollmentGroupJoinRow;
  enrolment_group_token: EnrollmentGroupTokenRow;
  enrolment_listing: EnrollmentListingRow;
  vendor_root: VendorRootRow;
  vendor_root_state: VendorRootStateRow;
  former_identity: FormerIdentityRow;
  witness_key: WitnessKeyRow;
  certificate: CertificateTable;
  enrolment_token: EnrollmentTokenRow;
  api_token: ApiTokenTable;
  person: PersonRow;
  approval: ApprovalRow;
  workload_declaration: WorkloadDeclarationRow;
  workload: WorkloadRow;
  workload_history: WorkloadHistoryRow;
  publisher: PublisherRow;
  model_release: ModelReleaseRow;
  model_file: ModelFileRow;
  reference_values: ReferenceValuesRow;
  policy: PolicyRow;
  access_decision: AccessDecisionRow;
  country_network: CountryNetworkRow;
  value_double: ValueDoubleRow;
  ima_log: ImaLogRow;
  lease: LeaseTable;
  audit_entry: AuditEntryRow;
  audit_checkpoint: AuditCheckpointRow;
  device_secret: DeviceSecretRow;
  used_token: UsedTokenRow;
  revocation_state: RevocationStateRow;
  revocation: RevocationRow;
  site: SiteRow;
  address_block: AddressBlockRow;
  alert: AlertRow;
  hub_node: HubNodeRow;
  presence: PresenceRow;
  token_rival: TokenRivalRow;
  hub_certificate: HubCertificateTable;
  root_authority: RootAuthorityRow;
  issuing_authority: IssuingAuthorityRow;
  device_root: DeviceRootRow;
  expiry_alarm: ExpiryAlarmRow;
}

/** DESIGN: registered -> active -> (suspect) -> quarantined -> wiped -> active | retired. */
export type DeviceState = 'registered' | 'active' | 'suspect' | 'quarantined' | 'wiped' | 'retired';

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
  /** Its report about its guards, as JSON (wire/src/api/guard-report.ts); null before the first. */
  readonly guard: Generated<string | null>;
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

/** Certificates that the issuing CA issued to the hub itself. */
export interface HubCertificateRow {
  readonly serial: string;
  readonly kind: 'server' | 'ocsp';
  readonly sha256: string;
  readonly der: Uint8Array;
  readonly not_before: number;
  readonly not_after: number;
}

export interface AlertRow {
  /** Index of the audit entry that opened it. */
  readonly id: number;
  readonly kind: AlertKind;
  readonly severity: AlertSeverity;
  readonly state: AlertState;
  readonly subject: string;
  readonly device_id: string | null;
  /** At most one alert exists for each. */
  readonly cause: string;
  readonly title: string;
  /** JSON object. */
  readonly data: string;
  readonly first_seen: number;
  readonly last_seen: number;
  readonly count: number;
  readonly state_by: string | null;
  readonly state_at: number | null;
  readonly note: string | null;
}

interface HubCertificateTable extends HubCertificateRow {
  readonly issuer: Generated<string>;
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

export interface PublisherRow {
  readonly fingerprint: string;
  readonly name: string;
  readonly public_key: string;
  readonly added_at: number;
}

export interface ModelReleaseRow {
  readonly name: string;
  readonly version: string;
  readonly state: 'uploading' | 'published' | 'withdrawn';
  readonly manifest: Uint8Array;
  readonly manifest_digest: string;
  readonly signature: string;
  readonly publisher: string;
  /** The model key, wrapped under the platform key. */
  readonly wrapped_key: Uint8Array;
  readonly created_at: number;
  readonly published_at: number | null;
}

export interface ModelFileRow {
  readonly name: string;
  readonly version: string;
  readonly path: string;
  readonly sealed_sha256: string;
  readonly sealed_size: number;
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
}

export type LeaseRecord = Selectable<LeaseTable>;

export interface AuditEntryRow {
  readonly log_index: number;
  readonly entry: Uint8Array;
  readonly leaf_hash: Uint8Array;
}

export interface AuditCheckpointRow {
  readonly size: number;
  readonly note: Uint8Array;
}
