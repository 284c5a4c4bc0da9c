// The tables that `webhook` writes (spec/webhooks.md).
import type { WebhookSigning } from '@edgekeep/wire/api/webhook';

export interface WebhookTables {
  webhook: WebhookRow;
  webhook_secret: WebhookSecretRow;
  webhook_delivery: WebhookDeliveryRow;
}

export interface WebhookRow {
  readonly name: string;
  readonly url: string;
  readonly signing: WebhookSigning;
  /** JSON: which alerts it gets. */
  readonly terms: string;
  /** PEM of the certificates that are trusted for it; null: the public ones. */
  readonly trusted_pem: string | null;
  /** It gets what happened from this entry of the log on. */
  readonly from_index: number;
  readonly created_at: number;
  readonly created_by: string;
  readonly disabled_reason: string | null;
}

export interface WebhookSecretRow {
  readonly id: string;
  readonly webhook: string;
  /** Wrapped under the platform key. */
  readonly wrapped_secret: Uint8Array;
  readonly created_at: number;
  /** Of an older one; null for the newest. */
  readonly expires_at: number | null;
}

/** One event that a webhook has not got. */
export interface WebhookDeliveryRow {
  readonly webhook: string;
  /** The entry of the log. */
  readonly log_index: number;
  /** `dead`: it is not tried any more, until a person orders it. */
  readonly state: 'waiting' | 'dead';
  readonly attempts: number;
  readonly created_at: number;
  readonly next_at: number;
  readonly attempted_at: number | null;
  readonly problem: string | null;
}
