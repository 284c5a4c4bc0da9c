// The risk of a device, from 0 to 100, from what the hub knows about it (spec/access.md, "Health").
import type { AlertSeverity } from '@edgekeep/wire/api/alert';
import type { DeviceState } from '../store/tables/registry.ts';

export interface HealthSigns {
  readonly state: DeviceState;
  readonly enabled: boolean;
  /** Status of the newest appraisal, `none` before the first. */
  readonly attestation: string;
  /** Severities of its alerts that are not closed. */
  readonly alerts: readonly AlertSeverity[];
  readonly elsewhere: boolean;
}

export interface Health {
  readonly risk: 'low' | 'medium' | 'high';
  readonly score: number;
  readonly openAlerts: number;
}

const ofState: Readonly<Record<DeviceState, number>> = {
  active: 0,
  registered: 20,
  suspect: 50,
  quarantined: 100,
  wiped: 100,
  retired: 100,
};
const ofAttestation: Readonly<Record<string, number>> = { affirming: 0, warning: 20, none: 30, contraindicated: 60 };
const ofAlert: Readonly<Record<AlertSeverity, number>> = { low: 5, medium: 15, high: 30, critical: 60 };
const mediumFrom = 30;
const highFrom = 60;

/** The sum of the signs, at most 100. From 30 the risk is medium, from 60 high. */
export function healthOf({ state, enabled, attestation, alerts, elsewhere }: HealthSigns): Health {
  const sum =
    ofState[state] +
    (enabled ? 0 : 100) +
    (ofAttestation[attestation] ?? 60) +
    alerts.reduce((total, severity) => total + ofAlert[severity], 0) +
    (elsewhere ? 20 : 0);
  const score = Math.min(100, sum);
  const risk = score >= highFrom ? 'high' : score >= mediumFrom ? 'medium' : 'low';
  return { risk, score, openAlerts: alerts.length };
}
