// The tables of devices that sign HMAC tokens (spec/device-token.md).

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
