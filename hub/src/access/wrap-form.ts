// The form of a wrapped key (spec/access.md, "Which form"). A device that has registered a hybrid key gets hybrid wraps and nothing else: one that
// asks for less runs an older agent, or somebody asks in its name. A device without one that asked for a bound key once and now asks in the form
// before is served, because a machine may start its last good system again, and an alert says so.
import { boundWrapType, hybridWrapType, type WrapType } from '@edgekeep/core/access/wrap-context';
import { equalBytes } from '@edgekeep/core/bytes';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { HubError, type Reason } from '../common/error.ts';
import { findHybridKey } from '../registry/hybrid-keys.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';
import type { ReleaseAsk, WrapForm } from './release-ask.ts';

/** Throws `request-invalid` for an agent that reads none of the forms that this hub makes, `release-refused` where it asks for too little. */
export function wrapFormOf(
  { wraps, deviceId }: Pick<ReleaseAsk, 'wraps' | 'deviceId'>,
  hybridKey: Uint8Array | undefined,
): WrapForm {
  if (hybridKey !== undefined) {
    if (wraps?.includes(hybridWrapType) === true) return { type: hybridWrapType, hybridKey };
    throw refusedForm(
      'hybrid-wrap-required',
      `${deviceId} has registered a hybrid key, and its agent reads no hybrid wraps: it runs an older version`,
    );
  }
  if (wraps === undefined) return { type: undefined };
  if (wraps.includes(boundWrapType)) return { type: boundWrapType };
  if (wraps.includes(hybridWrapType))
    throw refusedForm('hybrid-key-missing', `${deviceId} asks for hybrid wraps and has registered no hybrid key here`);
  const made: readonly WrapType[] = [boundWrapType, hybridWrapType];
  throw new HubError(
    'request-invalid',
    `this hub wraps keys as ${made.join(', ')}, the agent reads ${wraps.join(', ')}`,
  );
}

function refusedForm(code: string, message: string): HubError {
  return new HubError('release-refused', 'the key is not wrapped in this form', { reasons: [{ code, message }] });
}

/** In the transaction that records the lease. Throws `conflict` where the device has named another key since the wrap was made. */
export async function assertHybridKeyStands(trx: WriteTransaction, deviceId: string, form: WrapForm): Promise<void> {
  const now = await findHybridKey(trx, deviceId);
  const made = 'hybridKey' in form ? form.hybridKey : undefined;
  if (now === undefined ? made === undefined : made !== undefined && equalBytes(now, made)) return;
  throw new HubError('conflict', `${deviceId} has another hybrid key now: request the model key again`);
}

const boundLease = prepared<{ deviceId: string }, { readonly id: string }>((db, value) =>
  db.selectFrom('lease').select('id').where('device_id', '=', value('deviceId')).where('wrap', 'is not', null).limit(1),
);

const alertKind = 'key-wrap-downgraded';

/** Raises or ends the alert about a form that the device has left behind. In the transaction that records the lease. */
export async function weighWrapForm(trx: WriteTransaction, ask: ReleaseAsk, form: WrapForm): Promise<void> {
  const { deviceId, nowMs } = ask;
  const about = { kind: alertKind, subject: { deviceId }, nowMs } as const;
  if (form.type !== undefined) {
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

/** The alert about a device that is refused because it asks for less than its hybrid key allows. */
export async function alertOfRefusedForm(
  database: Database,
  { deviceId, model, version, nowMs }: ReleaseAsk,
  reasons: readonly Reason[],
): Promise<void> {
  if (!reasons.some(({ code }) => code === 'hybrid-wrap-required')) return;
  await database.writeAsHub((trx) =>
    raiseAlert(trx, {
      kind: alertKind,
      severity: 'medium',
      subject: { deviceId },
      title: `${deviceId} read hybrid wraps before, and its agent now asks for less: it gets no key`,
      data: { model, version },
      actor: 'hub',
      nowMs,
    }),
  );
}
