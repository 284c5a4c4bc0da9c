// The key of an issuing CA was stolen: one request ends the CA and everything it issued, and activates the next one (spec/authorities.md,
// "Rotation").
import { revokeOfIssuer, announceDisconnects } from '../revocation/store.ts';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Connections } from '../presence/connections.ts';
import { voidLeases } from '../revocation/leases.ts';
import type { RevocationWatch } from '../revocation/watch.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { AuthorityClass, IssuingAuthorityRow } from '../store/tables/authority.ts';
import {
  activateIn,
  assertRow,
  type AuthorityDependencies,
  classesWithoutAuthority,
  subjectOf,
} from './issuing-orders.ts';

const reason = 'cACompromise';
const dayMs = 86_400_000;

export interface RevokedAuthority {
  readonly certificates: number;
  readonly devices: number;
  readonly leasesVoided: number;
  readonly connectionsClosed: number;
  readonly activated: string | null;
}

/** Throws `conflict` when it is in use and no other one is installed. */
export async function revokeIssuing(
  dependencies: AuthorityDependencies & {
    readonly connections: Pick<Connections, 'cut'>;
    readonly watch: RevocationWatch;
  },
  order: { readonly id: string; readonly note: string; readonly actor: string },
): Promise<RevokedAuthority> {
  const { database, authorities, settings, connections, watch, clock } = dependencies;
  const overlapMs = settings.authorities.overlapDays * dayMs;
  const { revoked, ...done } = await database.write((trx) => mark(trx, { ...order, overlapMs, nowMs: clock() }));
  // First refuse new clients under this CA, then close the connections of the present ones.
  await authorities.reload();
  let connectionsClosed = 0;
  for (const { deviceId, serial } of revoked) connectionsClosed += connections.cut(deviceId, serial);
  await watch.poll();
  return { ...done, connectionsClosed };
}

interface MarkOrder {
  readonly id: string;
  readonly note: string;
  readonly actor: string;
  readonly overlapMs: number;
  readonly nowMs: number;
}

async function mark(trx: WriteTransaction, order: MarkOrder) {
  const { id, note, actor, nowMs } = order;
  const row = await assertRow(trx, id, ['next', 'active', 'retiring']);
  const activated = row.status === 'active' ? await replace(trx, row, order) : null;
  await trx
    .updateTable('issuing_authority')
    .set({ status: 'revoked', ended_at: nowMs, revocation_reason: reason })
    .where('id', '=', id)
    .execute();
  const revoked = await revokeOfIssuer(trx, id, { reason, nowMs });
  const devices = [...new Set(revoked.map(({ deviceId }) => deviceId))];
  const leasesVoided = await voidLeases(trx, devices, nowMs);
  await announceDisconnects(trx, revoked);
  const counts = { certificates: revoked.length, devices: devices.length, leasesVoided, activated };
  await appendEntry(trx, {
    at: nowMs,
    kind: 'issuing-authority-revoked',
    actor,
    subject: subjectOf(id),
    data: { ...counts, reason, note },
  });
  return { ...counts, revoked };
}

/** Activates what takes the place of an active CA; returns the id of the first. */
async function replace(
  trx: WriteTransaction,
  ended: IssuingAuthorityRow,
  { actor, nowMs, overlapMs }: MarkOrder,
): Promise<string> {
  const waiting = await trx
    .selectFrom('issuing_authority')
    .selectAll()
    .where('status', '=', 'next')
    .orderBy('added_at')
    .execute();
  const newest = (wanted: AuthorityClass) => waiting.findLast((row) => row.class === wanted);
  const next = newest(ended.class);
  // After one for all classes, those of the single classes count too, if none is missing.
  const several = ended.class === 'general' ? (await classesWithoutAuthority(trx)).map(newest) : [undefined];
  const found = next === undefined ? several : [next];
  const rows = found.flatMap((row) => row ?? []);
  const [first] = rows;
  if (first === undefined || rows.length < found.length) {
    throw new HubError(
      'conflict',
      'it is the one in use and no other is installed: `edgekeep authority request`, have it signed, install it, then revoke',
    );
  }
  // A device that does not know the new root finds the path by the links that the hub sends (spec/authorities.md, "A device that slept").
  for (const row of rows) await activateIn(trx, row, { force: true, actor, nowMs, overlapMs });
  return first.id;
}
