// Devices that enrolled before the hub stored their makers' authorities (spec/vendor-roots.md, "What is kept"): their paths are found again
// from the certificates that they showed then, once, in the background.
import { CoreError } from '@edgekeep/core/error';
import { deviceIdentitySchema } from '@edgekeep/wire/api/device';
import { proveDeviceId } from '../attest/device-id-certificate.ts';
import { proveEndorsement } from './endorsement.ts';
import { HubError } from '../common/error.ts';
import type { Job } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import { type MakerEvidence, type OldDevice, recordMaker, withoutMaker } from '../vendor-root/device-makers.ts';
import type { VendorRoots } from '../vendor-root/vendor-roots.ts';

// A path takes a few milliseconds of the one thread that answers devices.
const devicesAtOnce = 20;

/** Does the next few; false when none is left. */
export async function findOldPaths(database: Database, vendorRoots: Pick<VendorRoots, 'trust'>): Promise<boolean> {
  const devices = await withoutMaker(database.read, devicesAtOnce);
  const words: (readonly [string, MakerEvidence])[] = [];
  for (const device of devices) words.push([device.id, await wordOf(database, vendorRoots, device)]);
  if (words.length === 0) return false;
  await database.write(async (trx) => {
    for (const [id, word] of words) {
      const known = await trx.selectFrom('device_maker').select('kind').where('device_id', '=', id).executeTakeFirst();
      if (known === undefined) await recordMaker(trx, id, word);
    }
  });
  return true;
}

/** The rest of them, a few at a time. */
export function makerBackfill(dependencies: {
  readonly database: Database;
  readonly vendorRoots: Pick<VendorRoots, 'trust'>;
}): Job {
  return {
    name: 'maker-backfill',
    summary: 'finds the makers of devices that enrolled before the hub recorded makers',
    runsOn: 'one-node',
    run: async (signal) => {
      while (!signal.aborted && (await findOldPaths(dependencies.database, dependencies.vendorRoots)));
    },
  };
}

async function wordOf(
  { read }: Database,
  vendorRoots: Pick<VendorRoots, 'trust'>,
  { identity: text, enrolledAtMs: nowMs }: OldDevice,
): Promise<MakerEvidence> {
  const identity = deviceIdentitySchema.parse(JSON.parse(text));
  try {
    if (identity.kind === 'tpm') {
      const judging = { trust: vendorRoots.trust('tpm'), judgedAt: 'now', nowMs } as const;
      return (await proveEndorsement(read, identity, judging)).makersWord;
    }
    if (identity.kind === 'dice') return proveDeviceId(identity, vendorRoots.trust('dice'), nowMs).makersWord;
  } catch (error) {
    // Its root is no longer in the store: nothing there depends on it.
    if (!(error instanceof HubError) && !(error instanceof CoreError)) throw error;
  }
  return { kind: identity.kind === 'dice' ? 'dice' : 'tpm', chain: [], judgedAtMs: -1, notes: [], anchorGroups: [] };
}
