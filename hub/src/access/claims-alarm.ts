// Raises an alert while a permit of the policy in force is left out, because it rests on what devices say of themselves and does not name
// it (docs/design/claims.md). A hub of the version before asked such statements.
import { claimsText, unnamedClaims } from '@edgekeep/core/policy/claims';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import type { CurrentPolicy } from './policy-store.ts';

// An audit entry has at most 8 KiB.
const STATEMENTS_MAX = 16;

/** Raises or settles the alert for the policy that is in force now. */
export async function weighClaims(
  database: Database,
  { version, policy }: Pick<CurrentPolicy, 'version' | 'policy'>,
  nowMs: number,
): Promise<void> {
  const uses = unnamedClaims(policy);
  const about = { kind: 'policy-rests-on-claims', subject: { part: 'policy' }, nowMs } as const;
  await database.writeAsHub(async (trx) => {
    if (uses.length === 0) {
      await settleAlert(trx, { ...about, note: `policy ${version} does not` });
      return;
    }
    await raiseAlert(trx, {
      ...about,
      severity: 'high',
      title: `policy ${version} rests on what devices say of themselves, by ${claimsText(uses)}: such a permit gives no keys and no connections any more`,
      data: { policyVersion: version, statements: uses.map(({ statement }) => statement).slice(0, STATEMENTS_MAX) },
    });
  });
}
