// The response to one identity in use in two places (spec/presence.md, "Concurrent sessions"): an alert that names both. By the rule in the settings
// the first one continues undisturbed, or the device is held until an operator decides. All in one transaction.
import { disableIn } from '../registry/enablement.ts';
import { raiseAlert } from '../alert/alerts.ts';
import type { WriteTransaction } from '../store/database.ts';

export type ConcurrentSessionsRule = 'keep-first' | 'hold-both';

export interface ConcurrentSessions {
  readonly deviceId: string;
  readonly tier: string;
  readonly first: { readonly address: string; readonly since: number; readonly serial: string };
  readonly second: { readonly address: string; readonly serial: string };
  /** How often the second client was seen since the last report. */
  readonly times: number;
  readonly nowMs: number;
}

export async function reportConcurrentSessions(
  trx: WriteTransaction,
  seen: ConcurrentSessions,
  rule: ConcurrentSessionsRule,
): Promise<void> {
  const { deviceId, tier, first, second, times, nowMs } = seen;
  const held = rule === 'hold-both';
  const outcome = held ? 'both are held' : `${first.address} was first and continues`;
  const { id } = await raiseAlert(trx, {
    kind: 'identity-in-two-places',
    severity: 'critical',
    subject: { deviceId },
    title: `${deviceId} is in use at ${first.address} and at ${second.address}: ${outcome}`,
    data: {
      addresses: [first.address, second.address],
      first: first.address,
      firstSinceAt: first.since,
      second: second.address,
      certificates: [...new Set([first.serial, second.serial])].filter((serial) => serial !== ''),
      tier,
      rule,
    },
    times,
    nowMs,
  });
  if (!held) return;
  const reason = `held by the rule hold-both: this identity is in two places, see alert ${id}`;
  await disableIn(trx, { deviceId, reason, actor: 'hub', nowMs });
}
