// The tables that `authority` writes (spec/authorities.md).
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import type { KeyPurpose } from '@edgekeep/core/authority/key-list';
import type { Generated } from 'kysely';

export interface AuthorityTables {
  hub_certificate: HubCertificateTable;
  root_authority: RootAuthorityRow;
  issuing_authority: IssuingAuthorityRow;
  device_root: DeviceRootRow;
  expiry_alarm: ExpiryAlarmRow;
  hub_key: HubKeyRow;
  key_list: KeyListRow;
  device_key_list: DeviceKeyListRow;
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

interface HubCertificateTable extends HubCertificateRow {
  readonly issuer: Generated<string>;
}

/** spec/authorities.md: announced, in use, still trusted, no longer trusted. */
export type RootStatus = 'next' | 'current' | 'previous' | 'dropped';

export interface RootAuthorityRow {
  readonly sha256: string;
  /** Counts from 1; each root is certified by the one before it. */
  readonly generation: number;
  readonly status: RootStatus;
  readonly der: Uint8Array;
  /** The links to the root before (RFC 4210 section 4.4); null for the first. */
  readonly new_with_old: Uint8Array | null;
  readonly old_with_new: Uint8Array | null;
  /** The newest revocation list that this root signed; null when it never revoked anything. */
  readonly list: Uint8Array | null;
  readonly added_at: number;
  /** The time to drop this root, set when a newer one comes into use. */
  readonly overlap_ends_at: number | null;
}

/** requested -> next -> active -> retiring -> retired; or revoked, or given up before it was used. */
export type IssuingStatus = 'requested' | 'next' | 'active' | 'retiring' | 'retired' | 'revoked' | 'abandoned';

/** `general` is one from before there were classes: it issues for those that have no CA of their own. */
export type AuthorityClass = IssuedClass | 'general';

export interface IssuingAuthorityRow {
  /** Its key identifier, hex: the authority key identifier in certificates that it issues. */
  readonly id: string;
  readonly class: AuthorityClass;
  readonly status: IssuingStatus;
  /** Null until it is signed. */
  readonly root_sha256: string | null;
  /** DER PKCS #10; null for the initial issuing CA. */
  readonly request: Uint8Array | null;
  readonly der: Uint8Array | null;
  readonly added_at: number;
  readonly activates_at: number | null;
  readonly activated_at: number | null;
  /** When it was retired, revoked or given up. */
  readonly ended_at: number | null;
  readonly revocation_reason: string | null;
  /** Its last revocation list; once this is set, the key is destroyed. */
  readonly final_list: Uint8Array | null;
}

/** The newest root that a device has shown to know. */
export interface DeviceRootRow {
  readonly device_id: string;
  readonly generation: number;
  readonly reported_at: number;
}

/** An alarm that was raised, so that it is raised only once. */
export interface ExpiryAlarmRow {
  readonly sha256: string;
  readonly days: number;
  readonly raised_at: number;
}

/** spec/key-list.md, "Replacing a key". */
export type HubKeyStatus = 'requested' | 'next' | 'active' | 'previous' | 'abandoned';

/** A key by which the hub signs something else than certificates. */
export interface HubKeyRow {
  /** SHA-256 of its SPKI, hex. */
  readonly id: string;
  readonly purpose: KeyPurpose;
  readonly status: HubKeyStatus;
  readonly spki: Uint8Array;
  /** Of a log. */
  readonly origin: string | null;
  readonly from_seconds: number;
  readonly until_seconds: number | null;
  /** 1: somebody else had it. */
  readonly compromised: number;
  readonly added_at: number;
  readonly activated_at: number | null;
  /** The first list that names it; null before the root has signed. */
  readonly list_number: number | null;
}

/** A list that a root signed. */
export interface KeyListRow {
  readonly number: number;
  readonly root_sha256: string;
  readonly file: Uint8Array;
  readonly issued_seconds: number;
  readonly valid_until_seconds: number;
  readonly installed_at: number;
}

/** The newest key list that a device has shown to know. */
export interface DeviceKeyListRow {
  readonly device_id: string;
  readonly number: number;
  readonly reported_at: number;
}
