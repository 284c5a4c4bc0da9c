// The lineage of certificates (spec/presence.md, "Forks"). A lineage begins with enrollment or recovery, and each renewal is counted. An
// honest device only goes forward; a client that shows an older certificate holds a copy.
import { notePlace } from '../registry/device-notes.ts';
import { raiseAlert } from '../alert/alerts.ts';
import type { WriteTransaction } from '../store/database.ts';

/** The owner of a certificate in addition to the device, and the certificate that it follows. */
export interface CertificateOrigin {
  /** The device's identity that proved the key; left out: the present one. */
  readonly incarnation?: number;
  /** The workload on the device that it is for. */
  readonly workload?: string | undefined;
  /** Serial number of the device's certificate that it follows; without it a new lineage begins (spec/presence.md, "Forks"). */
  readonly renewedFrom?: string | undefined;
}

export interface LineagePosition {
  readonly lineage: number;
  /** The number of renewals since. */
  readonly renewal: number;
}

/** The lineage of a certificate about to be recorded: after the one it was renewed from, or the start of a new lineage. */
export async function nextInLineage(
  trx: WriteTransaction,
  deviceId: string,
  { workload, renewedFrom }: CertificateOrigin,
): Promise<LineagePosition> {
  // The device makes the keys of its workloads; their certificates say nothing about the lineage of the device.
  if (workload !== undefined) return { lineage: 0, renewal: 0 };
  if (renewedFrom !== undefined) {
    const parent = await lineageOf(trx, renewedFrom);
    return { lineage: parent.lineage, renewal: parent.renewal + 1 };
  }
  const { newest } = await trx
    .selectFrom('certificate')
    .select((q) => q.fn.max('lineage').as('newest'))
    .where('device_id', '=', deviceId)
    .where('workload', 'is', null)
    .executeTakeFirstOrThrow();
  return { lineage: newest === null ? 0 : newest + 1, renewal: 0 };
}

export interface CertificateUse {
  readonly deviceId: string;
  readonly serial: string;
  readonly address: string;
  /** The device's root of trust cannot be copied: then it is the same machine, restored to an earlier state. */
  readonly cannotBeCopied: boolean;
  readonly nowMs: number;
}

/** Notes the address and certificate of a device, or raises `certificate-fork`. Returns true when the lineage went forward. */
export async function recordUse(trx: WriteTransaction, use: CertificateUse): Promise<boolean> {
  const { deviceId, serial, address, nowMs } = use;
  const device = await trx
    .selectFrom('device')
    .select(['bound_serial', 'bound_address', 'bound_at'])
    .where('id', '=', deviceId)
    .executeTakeFirstOrThrow();
  const { bound_serial: newer } = device;
  const last = newer === null || newer === serial ? undefined : await standingOf(trx, newer, nowMs);
  const now = await lineageOf(trx, serial);
  if (last !== undefined && !isAhead(now, last)) {
    const seen = device.bound_address ?? 'an unknown address';
    await raiseAlert(trx, {
      kind: 'certificate-fork',
      severity: use.cannotBeCopied ? 'medium' : 'high',
      subject: { deviceId },
      title: `${deviceId} came from ${address} with an older certificate than the one it used at ${seen}: there are two holders`,
      data: {
        addresses: [address],
        genuineAddresses: [seen],
        lastBoundAt: device.bound_at ?? 0,
        certificates: [serial],
        newerCertificate: newer ?? '',
      },
      nowMs,
    });
    return false;
  }
  await notePlace(trx, deviceId, { address, serial, nowMs });
  return true;
}

function isAhead(one: LineagePosition, other: LineagePosition): boolean {
  return one.lineage > other.lineage || (one.lineage === other.lineage && one.renewal > other.renewal);
}

/** Zeros for a certificate that does not exist. */
export async function lineageOf(trx: WriteTransaction, serial: string): Promise<LineagePosition> {
  const row = await trx
    .selectFrom('certificate')
    .select(['lineage', 'renewal'])
    .where('serial', '=', serial)
    .executeTakeFirst();
  return row ?? { lineage: 0, renewal: 0 };
}

// A newer certificate that was revoked or has ended does not make an older one a fork.
async function standingOf(trx: WriteTransaction, serial: string, nowMs: number): Promise<LineagePosition | undefined> {
  return trx
    .selectFrom('certificate')
    .select(['lineage', 'renewal'])
    .where('serial', '=', serial)
    .where('revoked_at', 'is', null)
    .where('not_after', '>', nowMs)
    .executeTakeFirst();
}
