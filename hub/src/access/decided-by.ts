// What a key, or a certificate of a workload, is decided by, as one text: read before the decision and again in the transaction that records it. A device whose facts changed
// meanwhile (it left a group, lost a tag, moved to another site) is asked about anew.
import type { Policy } from '@edgekeep/core/policy/policy';
import { looksAt } from '@edgekeep/core/policy/reads';
import type { DeviceAction } from '@edgekeep/core/policy/schema';
import type { Kysely } from 'kysely';
import { groupsOfModel } from '../model/groups-of-model.ts';
import { getDevice } from '../registry/states.ts';
import type { DeviceRecord, Tables } from '../store/schema.ts';
import { factsOf } from './facts.ts';

export interface DecidedByAsk {
  readonly action: DeviceAction;
  readonly deviceId: string;
  /** The model that is asked for. */
  readonly model?: string | undefined;
  readonly country: string | undefined;
  readonly nowMs: number;
}

export interface DecidedBy {
  readonly device: DeviceRecord;
  /** Equal while nothing has changed that the policy looks at. */
  readonly facts: string;
}

/** Only what the policy looks at is read: each of these is one read by an index, and a policy that looks at none of them costs the device's row. */
export async function decidedBy(db: Kysely<Tables>, policy: Policy, ask: DecidedByAsk): Promise<DecidedBy> {
  const { action, deviceId, model, country, nowMs } = ask;
  const wanted = policy.reads(action);
  const device = await getDevice(db, deviceId);
  const modelGroups = model !== undefined && looksAt(wanted, 'resource.groups') ? await groupsOfModel(db, model) : [];
  const filterGroups = new Set([...policy.groups, ...modelGroups]);
  const found = await factsOf(db, [device], { wanted, filterGroups, nowMs });
  const { row: _, ...own } = found.get(deviceId) ?? { row: device };
  return { device, facts: JSON.stringify([own, modelGroups, country]) };
}
