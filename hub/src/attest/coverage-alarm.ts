// Raises an alert while reference values need not cover the PCR in which the agent measures its own stages. Then a device on which the
// agent was stopped or replaced is affirmed like any other (docs/design/relay.md). Hubs made before this setting existed are in this state.
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';

export interface CoverageSettings {
  readonly attestation: { readonly coveredPcrs: readonly number[] };
  readonly alerts: { readonly stagesNotCovered: boolean };
}

/** Raises or settles the alert for these settings. */
export async function weighCoverage(
  database: Database,
  { attestation: { coveredPcrs }, alerts }: CoverageSettings,
  nowMs: number,
): Promise<void> {
  if (!alerts.stagesNotCovered) return;
  const about = { kind: 'stages-not-covered', subject: { part: 'settings' }, nowMs } as const;
  await database.writeAsHub(async (trx) => {
    if (coveredPcrs.length > 0) {
      await settleAlert(trx, { ...about, note: `PCRs ${coveredPcrs.join(', ')} must be covered` });
      return;
    }
    await raiseAlert(trx, {
      ...about,
      severity: 'low',
      title:
        'boots are affirmed without a check of which agent runs: set attestation.coveredPcrs to [14] once reference values cover it',
      data: { setting: 'attestation.coveredPcrs' },
    });
  });
}
