// The groups that a key is decided by, as one text: read before the decision and again in the transaction that records the key, so that no device
// that was taken out of a group meanwhile gets it.
import type { Kysely } from 'kysely';
import { groupsOfModel } from '../model/groups-of-model.ts';
import { groupsOf } from '../registry/groups.ts';
import type { Tables } from '../store/schema.ts';

/** Equal while the device is in the same groups by name and the model is for the same groups. */
export async function groupFacts(db: Kysely<Tables>, deviceId: string, model: string): Promise<string> {
  return JSON.stringify([await groupsOf(db, deviceId), await groupsOfModel(db, model)]);
}
