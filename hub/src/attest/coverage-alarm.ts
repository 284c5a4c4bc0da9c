// Raises alerts while boots are affirmed that nothing was compared in. One: reference values need not cover the PCR in which the agent
// measures its own stages. Then a device on which the
// agent was stopped or replaced is affirmed like any other (docs/design/relay.md). Hubs made before this setting existed are in this state.
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database, WriteTransaction } from '../store/database.ts';

const NAMES_SHOWN_MAX = 8;

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

/** Raises or settles the alert about sets of the version before, `names`, that do not cover the boot and affirm it (docs/upgrading.md). */
export async function weighFormerSets(trx: WriteTransaction, names: readonly string[], nowMs: number): Promise<void> {
  const about = { kind: 'boots-not-compared', subject: { part: 'reference-values' }, nowMs } as const;
  if (names.length === 0) {
    await settleAlert(trx, { ...about, note: 'every set in force covers the boot' });
    return;
  }
  const shown = names.slice(0, NAMES_SHOWN_MAX).join(', ');
  await raiseAlert(trx, {
    ...about,
    severity: 'medium',
    title: `boots are affirmed by ${names.length} reference values that do not cover them: ${shown}`,
    data: { referenceValues: names.slice(0, NAMES_SHOWN_MAX) },
  });
}
