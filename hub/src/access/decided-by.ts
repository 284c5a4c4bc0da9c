// The facts behind a decision about a key, or about a workload's certificate, as one text. It is read before the decision and again in the
// transaction that records it. If the facts of the device changed in between (it left a group, lost a tag, moved to another site), the
// policy is asked again.
import type { Policy } from '@edgekeep/core/policy/policy';
import { looksAt } from '@edgekeep/core/policy/reads';
import type { DeviceAction } from '@edgekeep/core/policy/schema';
import type { Kysely } from 'kysely';
import { groupsOfModel } from '../model/groups-of-model.ts';
import { guardOf } from '../respond/device-guard.ts';
import { getDevice, noDevice } from '../registry/states.ts';
import { prepared } from '../store/prepared.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { type FactsRow, factsOf } from './facts.ts';

export interface DecidedByAsk {
  readonly action: DeviceAction;
  readonly deviceId: string;
  /** The model that the device asks for. */
  readonly model?: string | undefined;
  readonly country: string | undefined;
  readonly nowMs: number;
}

export interface DecidedBy {
  readonly device: DeviceRecord;
  /** Stays equal as long as nothing changes that the policy reads. */
  readonly facts: string;
}

/** Reads only what the policy uses: each fact is one read by an index. A policy that uses none of them costs only the device's row. */
export async function decidedBy(db: Kysely<Tables>, policy: Policy, ask: DecidedByAsk): Promise<DecidedBy> {
  const device = await getDevice(db, ask.deviceId);
  return { device, facts: await factsDecidedBy(db, policy, ask, device) };
}

/** The facts of `decidedBy`, in the transaction that records what was decided. */
export async function factsNow(db: Kysely<Tables>, policy: Policy, ask: DecidedByAsk): Promise<string> {
  const [device] = await factsRow(db, { deviceId: ask.deviceId });
  return factsDecidedBy(db, policy, ask, device ?? noDevice(ask.deviceId));
}

/** What is needed of a device's row. */
type DecidedRow = FactsRow & Pick<DeviceRecord, 'guard' | 'appraisal'>;

const factsRow = prepared<{ deviceId: string }, DecidedRow>((db, value) =>
  db
    .selectFrom('device')
    .select(['id', 'tier', 'state', 'site', 'disabled_reason', 'guard', 'appraisal'])
    .where('id', '=', value('deviceId')),
);

/** The facts of `decidedBy`, of a device that was read before. */
export async function factsDecidedBy(
  db: Kysely<Tables>,
  policy: Policy,
  { action, deviceId, model, country, nowMs }: DecidedByAsk,
  device: DecidedRow,
): Promise<string> {
  const wanted = policy.reads(action);
  const modelGroups = model !== undefined && looksAt(wanted, 'resource.groups') ? await groupsOfModel(db, model) : [];
  const filterGroups = new Set([...policy.groups, ...modelGroups]);
  const found = await factsOf(db, [device], { wanted, filterGroups, nowMs });
  const { row: _, ...own } = found.get(deviceId) ?? { row: device };
  const guard = looksAt(wanted, 'context.guard') ? guardOf(device) : undefined;
  // A key is decided by the evidence of its own request, anything else by the newest that is stored.
  const attested = action !== 'releaseKey' && looksAt(wanted, 'context.attestation') ? device.appraisal : undefined;
  return JSON.stringify([own, modelGroups, country, guard?.walls, guard?.missing, attested]);
}
