// Whether who asks for the next lease looks like who holds the last one: by its address, and by how long its proof took (docs/design/relay.md). A
// relay that opens the key elsewhere cannot be refused by these, because honest devices move and machines are busy; it is told.
import { networkOf } from '../presence/places.ts';
import { raiseAlert } from '../respond/alerts.ts';
import type { HubSettings } from '../settings.ts';
import type { WriteTransaction } from '../store/database.ts';

export interface NextHolder {
  readonly deviceId: string;
  readonly model: string;
  readonly address: string;
  /** How long the proof took beyond the way; undefined where it is not known. */
  readonly proofMs: number | undefined;
  readonly nowMs: number;
}

/** Leases of this device that its proof is compared with, the newest. */
const comparedMax = 16;
/** With fewer nothing is said. */
const comparedMin = 5;

/** The proof time above which a device is not like itself: its median, and `slackMs` or half as much again. Undefined with too few. */
export function usualProofMs(
  earlier: readonly number[],
  slackMs: number,
): { median: number; limit: number } | undefined {
  if (earlier.length < comparedMin) return undefined;
  const sorted = earlier.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return { median, limit: median + Math.max(slackMs, median / 2) };
}

/** Raises an alert where it differs. Called in the transaction that records the lease, before it is there. */
export async function weighHolder(
  trx: WriteTransaction,
  next: NextHolder,
  { leaseElsewhere, proofSlackMilliseconds }: HubSettings['alerts'],
): Promise<void> {
  if (!leaseElsewhere) return;
  const { deviceId, model, address, proofMs, nowMs } = next;
  const earlier = await trx
    .selectFrom('lease')
    .select(['address', 'round_trip_ms as proofMs', 'not_after as notAfter', 'revoked_at as revokedAt'])
    .where('device_id', '=', deviceId)
    .where('model', '=', model)
    .where('granted_at', 'is not', null)
    .orderBy('granted_at', 'desc')
    .limit(comparedMax)
    .execute();
  const [last] = earlier;
  const about = { kind: 'lease-elsewhere', severity: 'low', subject: { deviceId }, nowMs } as const;
  // A lease that is over has no holder.
  const holder = last !== undefined && last.revokedAt === null && last.notAfter > nowMs ? last.address : null;
  if (holder !== null && networkOf(holder) !== networkOf(address)) {
    await raiseAlert(trx, {
      ...about,
      detail: `${model} address`,
      title: `${deviceId} asked for ${model} from ${address}, while the lease that was given to ${holder} holds`,
      data: { model, differs: 'address', addresses: [address], holders: [holder] },
    });
  }
  const usual = usualProofMs(
    earlier.flatMap((lease) => lease.proofMs ?? []),
    proofSlackMilliseconds,
  );
  if (usual === undefined || proofMs === undefined || proofMs <= usual.limit) return;
  await raiseAlert(trx, {
    ...about,
    detail: `${model} round-trip`,
    title: `${deviceId} took ${proofMs} ms to prove itself for ${model}, and usually takes ${usual.median} ms: its root of trust may be far from it`,
    data: {
      model,
      differs: 'round-trip',
      proofMs,
      usualMs: usual.median,
      limitMs: Math.round(usual.limit),
      addresses: [address],
    },
  });
}
