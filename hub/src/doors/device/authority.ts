// The authority of a device's request, and of a workload's: the connection, its certificate, and the state of the device at the moment of
// the act.
import type { Kysely } from 'kysely';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceConnection } from '../../presence/connections.ts';
import { assertNotCutOff } from '../../registry/enablement.ts';
import type { Authority } from '../../store/authority.ts';
import { prepared } from '../../store/prepared.ts';
import type { Tables } from '../../store/schema.ts';
import type { DeviceRecord } from '../../store/tables/registry.ts';
import type { CertificateRow } from '../../store/tables/revocation.ts';

/** Anybody: the route reads the proof in the request (a token, evidence, a challenge of its connection) in its own transaction. */
export const strangerAuthority: Authority = { name: 'stranger', stands: () => Promise.resolve() };

/** A device or a workload: the certificate is current and not revoked, and the device is not cut off. */
export function certificateAuthority(
  { sha256, notAfterMs }: { readonly sha256: string; readonly notAfterMs: number },
  clock: Clock,
): Authority {
  return {
    name: `certificate ${sha256}`,
    async stands(db) {
      if (notAfterMs <= clock())
        throw new HubError('certificate-required', 'the certificate of this connection has expired: get the next one');
      await assertHolderStands(db, sha256);
    },
  };
}

/** The connection is still bound to the root of trust. */
export function boundAuthority(connection: Pick<DeviceConnection, 'bound'>): Authority {
  return {
    name: 'bound connection',
    async stands() {
      if (!connection.bound)
        throw new HubError('connection-unbound', 'this connection is no longer bound: POST /v1/bind on a new one');
    },
  };
}

// One statement, because every write of a device pays for it.
async function assertHolderStands(db: Kysely<Tables>, sha256: string): Promise<void> {
  const [row] = await holderOf(db, { sha256 });
  if (row !== undefined) assertNotCutOff(row);
  if (row === undefined || row.revoked_at !== null)
    throw new HubError('certificate-revoked', 'this certificate is revoked');
}

type Holder = Pick<DeviceRecord, 'state' | 'state_reason' | 'disabled_reason'> & Pick<CertificateRow, 'revoked_at'>;

const holderOf = prepared<{ sha256: string }, Holder>((db, value) =>
  db
    .selectFrom('certificate')
    .innerJoin('device', 'device.id', 'certificate.device_id')
    .select(['device.state', 'device.state_reason', 'device.disabled_reason', 'certificate.revoked_at'])
    .where('certificate.sha256', '=', value('sha256')),
);
