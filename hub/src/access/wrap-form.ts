// The form of a wrapped key that an agent reads (spec/access.md, "What a wrapped key is bound to"). One that asked for a bound key once and
// now asks in the form before was replaced by an older agent: it is served, because a machine may start its last good system again, and an
// alert says so.
import { boundWrapType } from '@edgekeep/core/access/wrap-context';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { ReleaseAsk } from './release-ask.ts';

export type WrapForm = 'bound' | 'lease-id';

/** Throws `request-invalid` for an agent that reads none of the forms that this hub makes. */
export function wrapFormOf({ wraps }: Pick<ReleaseAsk, 'wraps'>): WrapForm {
  if (wraps === undefined) return 'lease-id';
  if (wraps.includes(boundWrapType)) return 'bound';
  throw new HubError('request-invalid', `this hub wraps keys as ${boundWrapType}, the agent reads ${wraps.join(', ')}`);
}

const boundLease = prepared<{ deviceId: string }, { readonly id: string }>((db, value) =>
  db.selectFrom('lease').select('id').where('device_id', '=', value('deviceId')).where('wrap', 'is not', null).limit(1),
);

/** Raises or ends the alert about a form that the device has left behind. In the transaction that records the lease. */
export async function weighWrapForm(trx: WriteTransaction, ask: ReleaseAsk): Promise<void> {
  const { deviceId, nowMs } = ask;
  const about = { kind: 'key-wrap-downgraded', subject: { deviceId }, nowMs } as const;
  if (wrapFormOf(ask) === 'bound') {
    await settleAlert(trx, { ...about, note: 'the agent asks for bound keys again' });
    return;
  }
  const [lease] = await boundLease(trx, { deviceId });
  if (lease === undefined) return;
  await raiseAlert(trx, {
    ...about,
    severity: 'medium',
    title: `${deviceId} read bound keys before, and now asks for the form before: an older agent runs there`,
    data: { model: ask.model, version: ask.version },
  });
}
