// Raises an alert while the policy in force gives the key of every model to every attested device with a TPM. That is right for some
// fleets, and every operator must know it.
import { keysForEveryDevice } from '@edgekeep/core/policy/breadth';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import type { CurrentPolicy } from './policy-store.ts';

/** Raises or settles the alert for the policy that is in force now. */
export async function weighBreadth(
  database: Database,
  { version, policy }: Pick<CurrentPolicy, 'version' | 'policy'>,
  nowMs: number,
): Promise<void> {
  const statements = keysForEveryDevice(policy);
  const about = { kind: 'policy-gives-all-keys', subject: { part: 'policy' }, nowMs } as const;
  await database.writeAsHub(async (trx) => {
    if (statements.length === 0) {
      await settleAlert(trx, { ...about, note: `policy ${version} does not` });
      return;
    }
    await raiseAlert(trx, {
      ...about,
      severity: 'low',
      title: `policy ${version} gives the key of every model to every attested device with a TPM (${statements.slice(0, 4).join(', ')})`,
      data: { policyVersion: version, statements },
    });
  });
}
