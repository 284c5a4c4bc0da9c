// The facts behind a decision about a key, or about a workload's certificate, as one text. It is read before the decision and again in the
// transaction that records it. If the facts of the device changed in between (it left a group, lost a tag, moved to another site), the
// policy is asked again.
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
  const { action, deviceId, model, country, nowMs } = ask;
  const wanted = policy.reads(action);
  const device = await getDevice(db, deviceId);
  const modelGroups = model !== undefined && looksAt(wanted, 'resource.groups') ? await groupsOfModel(db, model) : [];
  const filterGroups = new Set([...policy.groups, ...modelGroups]);
  const found = await factsOf(db, [device], { wanted, filterGroups, nowMs });
  const { row: _, ...own } = found.get(deviceId) ?? { row: device };
  return { device, facts: JSON.stringify([own, modelGroups, country]) };
}
