// The operator's order to revoke (spec/revocation.md): one certificate, all of a device, or up to ten thousand of either, in one durable
// transaction with its audit entry; then the connections are closed.
import { sha256Hex } from '@edgekeep/core/digest';
import type { RevocationReason } from '@edgekeep/core/identity/crl-reason';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { recordChange } from '../registry/history.ts';
import type { DisconnectDependencies } from './quarantine.ts';
import { inBatches } from '../store/batches.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { DeviceState } from '../store/tables/registry.ts';
import { changeState, quarantineMany } from '../registry/states.ts';
import {
  announceDisconnects,
  type DisconnectOrder,
  type RevokedRow,
  revokeOfDevices,
  revokeSerials,
} from '../revocation/store.ts';
import { voidLeases } from '../revocation/leases.ts';

// An audit entry has at most 8 KiB; the digest represents the whole list.
const LISTED_MAX = 32;
// The number of unknown names that are reported: enough to find the mistake in a list.
const UNKNOWN_SHOWN_MAX = 10;
// A device in any other state already cannot get a key.
const live: readonly DeviceState[] = ['registered', 'active', 'suspect'];

export type RevocationTarget =
  | { readonly kind: 'devices'; readonly ids: readonly string[] }
  | { readonly kind: 'serials'; readonly serials: readonly string[] }
  /** SHA-256 of the certificates, hex. */
  | { readonly kind: 'certificates'; readonly digests: readonly string[] };

export interface RevocationOrder {
  readonly target: RevocationTarget;
  readonly reason: RevocationReason;
  readonly note: string;
  /** Whether a device whose certificates are all revoked may prove itself and get a new one; if not, it is quarantined as well. */
  readonly mayReturn: boolean;
  readonly actor: string;
  readonly nowMs: number;
}

export interface Revocation {
  readonly version: number;
  readonly certificates: number;
  readonly devices: number;
  readonly quarantined: number;
  readonly leasesVoided: number;
  /** Lower-case hex; of the sorted list of names, one per line (spec/revocation.md). */
  readonly digest: string;
  readonly connectionsClosed: number;
}

/** All or nothing: an unknown device or certificate refuses the whole order with `not-found`. */
export async function revoke(
  fleet: Pick<DisconnectDependencies, 'database' | 'connections' | 'watch'>,
  order: RevocationOrder,
): Promise<Revocation> {
  const { cuts, ...done } = await fleet.database.write((trx) => mark(trx, order));
  let connectionsClosed = 0;
  for (const { deviceId, serial } of cuts) connectionsClosed += fleet.connections.cut(deviceId, serial);
  // The watch applies everything else in this version on this node, including witnesses, as on every other node.
  await fleet.watch.poll();
  return { ...done, connectionsClosed };
}

async function mark(trx: WriteTransaction, order: RevocationOrder) {
  const { target, reason, note, actor, nowMs } = order;
  const digest = sha256Hex(namedIn(target).toSorted().join('\n'));
  const revoked = await revokeTarget(trx, order);
  const named = target.kind === 'devices' ? target.ids : revoked.map(({ deviceId }) => deviceId);
  const devices = [...new Set(named)];
  const quarantined = target.kind === 'devices' && !order.mayReturn ? await quarantineAll(trx, devices, order) : [];
  const leasesVoided = await voidLeases(trx, devices, nowMs);
  const cuts: readonly DisconnectOrder[] =
    target.kind === 'devices' ? devices.map((deviceId) => ({ deviceId, serial: undefined })) : revoked;
  const version = await announceDisconnects(trx, cuts);
  const counts = {
    version,
    certificates: revoked.length,
    devices: devices.length,
    quarantined: quarantined.length,
    leasesVoided,
  };
  const [only] = devices;
  const logIndex = await appendEntry(trx, {
    at: nowMs,
    kind: 'certificates-revoked',
    actor,
    subject: only !== undefined && devices.length === 1 ? `device:${only}` : 'fleet',
    data: {
      ...counts,
      reason,
      note,
      named: target.kind,
      digest,
      ...(revoked.length <= LISTED_MAX ? { serials: revoked.map(({ serial }) => serial) } : {}),
    },
  });
  if (devices.length > 1) await recordChanges(trx, quarantined, logIndex, order);
  return { ...counts, digest, cuts };
}

function namedIn(target: RevocationTarget): readonly string[] {
  switch (target.kind) {
    case 'devices':
      return target.ids;
    case 'serials':
      return target.serials;
    case 'certificates':
      return target.digests;
  }
}

async function revokeTarget(trx: WriteTransaction, order: RevocationOrder): Promise<readonly RevokedRow[]> {
  const { target } = order;
  switch (target.kind) {
    case 'devices': {
      const known = await inBatches(target.ids, async (ids) =>
        trx.selectFrom('device').select('id').where('id', 'in', ids).execute(),
      );
      assertAllKnown(
        target.ids,
        known.map(({ id }) => id),
      );
      return revokeOfDevices(trx, target.ids, order);
    }
    case 'serials': {
      const known = await inBatches(target.serials, async (some) =>
        trx.selectFrom('certificate').select('serial').where('serial', 'in', some).execute(),
      );
      assertAllKnown(
        target.serials,
        known.map(({ serial }) => serial),
      );
      return revokeSerials(trx, target.serials, order);
    }
    case 'certificates': {
      const known = await inBatches(target.digests, async (some) =>
        trx.selectFrom('certificate').select(['serial', 'sha256']).where('sha256', 'in', some).execute(),
      );
      assertAllKnown(
        target.digests,
        known.map(({ sha256 }) => sha256),
      );
      return revokeSerials(
        trx,
        known.map(({ serial }) => serial),
        order,
      );
    }
  }
}

function assertAllKnown(named: readonly string[], known: readonly string[]): void {
  const found = new Set(known);
  const unknown = [...new Set(named)].filter((name) => !found.has(name));
  if (unknown.length === 0) return;
  const shown = unknown.slice(0, UNKNOWN_SHOWN_MAX);
  throw new HubError('not-found', `${unknown.length} of ${named.length} are not known here, so nothing was revoked`, {
    reasons: shown.map((name) => ({ code: 'unknown', message: name })),
  });
}

interface Quarantined {
  readonly deviceId: string;
  readonly from: DeviceState;
}

// One device changes its state in the usual way; many do so at once, under the one audit entry of the order.
async function quarantineAll(
  trx: WriteTransaction,
  ids: readonly string[],
  order: RevocationOrder,
): Promise<readonly Quarantined[]> {
  return inBatches(ids, async (some) => {
    const found = await trx
      .selectFrom('device')
      .select(['id as deviceId', 'state as from'])
      .where('id', 'in', some)
      .where('state', 'in', live)
      .execute();
    const [only] = found;
    if (only !== undefined && ids.length === 1) {
      const { actor, nowMs } = order;
      await changeState(trx, { ...only, to: 'quarantined', reason: reasonText(order), actor, nowMs });
    } else if (only !== undefined) {
      const changed = found.map(({ deviceId }) => deviceId);
      await quarantineMany(trx, changed, reasonText(order));
    }
    return found;
  });
}

async function recordChanges(
  trx: WriteTransaction,
  quarantined: readonly Quarantined[],
  logIndex: number,
  order: RevocationOrder,
): Promise<void> {
  const { actor, nowMs } = order;
  for (const { deviceId, from } of quarantined) {
    const change = { deviceId, logIndex, at: nowMs, from, to: 'quarantined', reason: reasonText(order), actor };
    await recordChange(trx, change);
  }
}

function reasonText({ reason, note }: RevocationOrder): string {
  return `certificates revoked (${reason}): ${note}`;
}
