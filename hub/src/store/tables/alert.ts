// The tables that `alert` writes (spec/alerts.md).
import type { AlertKind, AlertSeverity, AlertState } from '@edgekeep/wire/api/alert';

export interface AlertTables {
  alert: AlertRow;
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
