// Step 5a of the decision (spec/access.md): the publisher's release policy, which is in the signed manifest. It is asked before the operator's
// policy, and again in the transaction that records the key; the agent and every auditor ask it too.
import type { KeyRelease } from '@edgekeep/core/access/key-release';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { ownAttestationResult } from '@edgekeep/core/attest/ear';
import {
  affirmedRelease,
  type ReleasePolicy,
  releasePolicyDigest,
  releasePolicyReasons,
} from '@edgekeep/core/model/release-policy';
import type { VendorRootKind } from '@edgekeep/wire/api/vendor-root';
import type { Kysely } from 'kysely';
import { HubError, type Reason } from '../common/error.ts';
import { getDevice } from '../registry/states.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceMakerPathRow } from '../store/tables/vendor-root.ts';
import type { DeviceRow } from '../store/tables/registry.ts';
import { factsOf } from './facts.ts';

type PublisherDevice = Pick<DeviceRow, 'id' | 'tier'>;

export interface PublisherAsk {
  readonly policy: ReleasePolicy;
  readonly device: PublisherDevice;
  readonly appraisal: Pick<Appraisal, 'tier'>;
  /** The one that the hub signed about the evidence of this request. */
  readonly attestationResult: string;
  /** How many witnesses besides the device cosigned the log's newest witnessed checkpoint. */
  readonly cosigners: number;
  readonly nowMs: number;
}

/** Which of the policy's makers and groups the device has, by what the hub knows now. Groups are decided ones: no claim counts. */
async function publisherFacts(
  db: Kysely<Tables>,
  { makers, groups }: Pick<ReleasePolicy, 'makers' | 'groups'>,
  device: PublisherDevice,
  nowMs: number,
): Promise<{ readonly maker: string | undefined; readonly group: string | undefined }> {
  const kind = makerKinds[device.tier];
  const maker = makers === undefined || kind === undefined ? undefined : await makerAmong(db, device.id, kind, makers);
  if (groups === undefined) return { maker, group: undefined };
  const wanted = { wanted: new Set(['principal.groups']), filterGroups: new Set(groups), nowMs };
  const own = (await factsOf(db, [await getDevice(db, device.id)], wanted)).get(device.id)?.principal.groups ?? [];
  return { maker, group: groups.find((name) => own.includes(name)) };
}

/** The first of these certificates, by SHA-256, that is on the path from the maker's root to the device's own certificate. */
async function makerAmong(
  db: Kysely<Tables>,
  deviceId: string,
  kind: VendorRootKind,
  digests: readonly string[],
): Promise<string | undefined> {
  const rows = await makersAmong(db, [deviceId], digests);
  const own = new Set(rows.flatMap((row) => (row.kind === kind ? [row.sha256] : [])));
  return digests.find((digest) => own.has(digest));
}

/** These certificates on the paths of these devices; a page of devices at most. */
export async function makersAmong(
  db: Kysely<Tables>,
  deviceIds: readonly string[],
  digests: readonly string[],
): Promise<readonly Pick<DeviceMakerPathRow, 'device_id' | 'kind' | 'sha256'>[]> {
  if (deviceIds.length === 0 || digests.length === 0) return [];
  return db
    .selectFrom('device_maker_path')
    .select(['device_id', 'kind', 'sha256'])
    .where('device_id', 'in', [...deviceIds])
    .where('sha256', 'in', [...digests])
    .execute();
}

/** The maker of the root of trust itself: a maker of another part vouches for that part. */
export const makerKinds: Readonly<Record<string, VendorRootKind>> = {
  tpm: 'tpm',
  dice: 'dice',
  'secure-element': 'idevid',
};

/** What the entry says of the policy, or why it does not permit the release. */
export async function askPublisher(
  db: Kysely<Tables>,
  { policy, device, appraisal, attestationResult, cosigners, nowMs }: PublisherAsk,
): Promise<
  | { readonly kind: 'permitted'; readonly logged: NonNullable<KeyRelease['releasePolicy']> }
  | { readonly kind: 'refused'; readonly reasons: readonly Reason[] }
> {
  const { maker, group } = await publisherFacts(db, policy, device, nowMs);
  const release = affirmedRelease(ownAttestationResult(attestationResult));
  const reasons = releasePolicyReasons(policy, { tier: appraisal.tier, release, maker, group, cosigners });
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const digest = releasePolicyDigest(policy);
  return {
    kind: 'permitted',
    logged: { digest, ...(maker !== undefined && { maker }), ...(group !== undefined && { group }) },
  };
}

export function refusedByPublisher(reasons: readonly Reason[], attestationResult: string): HubError {
  const message = 'the publisher of this release gives no key to this device';
  return new HubError('release-refused', message, { reasons, attestationResult });
}
