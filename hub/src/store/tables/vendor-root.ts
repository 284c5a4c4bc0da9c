// The tables that `vendor-root` writes (spec/vendor-roots.md).
import type { VendorRootKind, VendorRootRole } from '@edgekeep/wire/api/vendor-root';

export interface VendorRootTables {
  device_maker: DeviceMakerRow;
  device_maker_path: DeviceMakerPathRow;
  vendor_root: VendorRootRow;
  vendor_root_state: VendorRootStateRow;
}

export interface VendorRootRow {
  readonly kind: VendorRootKind;
  /** Of the whole certificate, hex. */
  readonly sha256: string;
  readonly spki_sha256: string;
  readonly role: VendorRootRole;
  readonly maker: string;
  readonly subject: string;
  readonly issuer: string;
  readonly not_before: number;
  readonly not_after: number;
  readonly der: Uint8Array;
  /** The file it came from, or `operator`. */
  readonly source: string;
  readonly added_at: number;
  readonly added_by: string;
  /** A removed certificate stays known, so that the same file does not add it again at the next start. Null while it is in use. */
  readonly removed_at: number | null;
}

/** One row: grows with every change, so that a hub node sees when it must read again. */
export interface VendorRootStateRow {
  readonly id: number;
  readonly version: number;
}

/** What the certificate of a device's maker said at enrollment, and the time at which it was judged. */
export interface DeviceMakerRow {
  readonly device_id: string;
  readonly kind: VendorRootKind;
  readonly maker: string;
  readonly judged_at: number;
  /** What an operator should know about the judgement, as JSON: a list of texts. */
  readonly notes: string;
}

/** An authority on the path of a device's certificate: SHA-256 of its whole certificate, hex. */
export interface DeviceMakerPathRow {
  readonly device_id: string;
  readonly kind: VendorRootKind;
  readonly sha256: string;
}
