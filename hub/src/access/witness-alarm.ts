// Raises an alert when a key is asked for and the fleet could not witness its receipt (spec/audit-log.md, "Witness policy"): a quorum that
// cannot be met must not shrink unseen.
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { CurrentWitnessPolicy } from '../audit/witness-policy.ts';
import type { WriteTransaction } from '../store/database.ts';

/** The reason of a refusal for it. */
export const quorumUnreachable = 'witness-quorum-unreachable';

export async function weighQuorum(
  trx: WriteTransaction,
  { quorum, tiers, whenUnmet }: CurrentWitnessPolicy,
  { deviceId, reachable, nowMs }: { readonly deviceId: string; readonly reachable: boolean; readonly nowMs: number },
): Promise<void> {
  const about = { kind: 'witness-quorum', subject: { part: 'witness-policy' }, nowMs } as const;
  if (reachable) {
    await settleAlert(trx, { ...about, note: `the fleet can witness the receipt of ${deviceId}` });
    return;
  }
  const refuses = whenUnmet === 'refuse';
  await raiseAlert(trx, {
    ...about,
    severity: refuses ? 'high' : 'medium',
    title: `the fleet has fewer than ${quorum} independent witnesses besides the receiver: ${refuses ? 'no key was released' : 'keys are released with weaker receipts'}`,
    data: { devices: [deviceId], quorum, tiers: [...tiers] },
  });
}
