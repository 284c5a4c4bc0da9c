// Does the client that asks for the next lease look like the holder of the last one? Compares the address and how long the proof took
// (docs/design/relay.md). A relay that opens the key elsewhere cannot be refused on these signs, because honest devices move and machines
// are busy; the hub raises an alert instead.
import { networkOf } from '@edgekeep/core/canonical/network-of';
import { raiseAlert } from '../alert/alerts.ts';
import type { WriteTransaction } from '../store/database.ts';
import { prepared } from '../store/prepared.ts';

export interface LeaseHolderAlerts {
  readonly leaseElsewhere: boolean;
  readonly proofSlackMilliseconds: number;
}

export interface NextHolder {
  readonly deviceId: string;
  readonly model: string;
  readonly address: string;
  /** How long the proof took beyond the network round trip; undefined where it is not known. */
  readonly proofMs: number | undefined;
  readonly nowMs: number;
}

/** The proof is compared with this many of the device's newest leases. */
const COMPARED_MAX = 16;
/** With fewer leases there is no comparison. */
const COMPARED_MIN = 5;

/**
 * A proof that takes longer than this is unusual for the device: its median plus `slackMs`, or plus half the median if that is more.
 * Undefined with too few leases.
 */
export function usualProofMs(
  earlier: readonly number[],
  slackMs: number,
): { median: number; limit: number } | undefined {
  if (earlier.length < COMPARED_MIN) return undefined;
  const sorted = earlier.toSorted((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  return { median, limit: median + Math.max(slackMs, median / 2) };
}

interface EarlierLease {
  readonly address: string | null;
  readonly proofMs: number | null;
  readonly notAfter: number;
  readonly revokedAt: number | null;
}

const newestLeases = prepared<{ deviceId: string; model: string }, EarlierLease>((db, value) =>
  db
    .selectFrom('lease')
    .select(['address', 'round_trip_ms as proofMs', 'not_after as notAfter', 'revoked_at as revokedAt'])
    .where('device_id', '=', value('deviceId'))
    .where('model', '=', value('model'))
    .where('granted_at', 'is not', null)
    .orderBy('granted_at', 'desc')
    .limit(COMPARED_MAX),
);

/** Raises an alert where the client differs. Called in the transaction that records the lease, before the lease is written. */
export async function weighHolder(
  trx: WriteTransaction,
  next: NextHolder,
  { leaseElsewhere, proofSlackMilliseconds }: LeaseHolderAlerts,
): Promise<void> {
  if (!leaseElsewhere) return;
  const { deviceId, model, address, proofMs, nowMs } = next;
  const earlier = await newestLeases(trx, { deviceId, model });
  const [last] = earlier;
  const about = { kind: 'lease-elsewhere', severity: 'low', subject: { deviceId }, nowMs } as const;
  // A lease that has ended has no holder.
  const holder = last !== undefined && last.revokedAt === null && last.notAfter > nowMs ? last.address : null;
  if (holder !== null && networkOf(holder) !== networkOf(address)) {
    await raiseAlert(trx, {
      ...about,
      detail: `${model} address`,
      title: `${deviceId} asked for ${model} from ${address}, while the lease given to ${holder} is still valid`,
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
    title: `${deviceId} took ${proofMs} ms to prove itself for ${model}; its usual time is ${usual.median} ms: its root of trust may be far from it`,
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
