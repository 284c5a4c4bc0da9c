// Tags: short words that an operator attaches to a device, `line=press` or `owner=ada`.
import { TAGS_MAX } from '@edgekeep/wire/api/registry';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { getDevice } from './states.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

export type Tags = Readonly<Record<string, string>>;

export interface TagOrder {
  readonly deviceId: string;
  readonly set: Tags;
  readonly remove: readonly string[];
  readonly actor: string;
  readonly nowMs: number;
}

/** Returns all tags that the device has afterwards. */
export async function changeTags(database: Database, order: TagOrder): Promise<Tags> {
  const { deviceId, set, remove, actor, nowMs } = order;
  return database.write(async (trx) => {
    await getDevice(trx, deviceId);
    if (remove.length > 0) {
      await trx.deleteFrom('device_tag').where('device_id', '=', deviceId).where('key', 'in', remove).execute();
    }
    for (const [key, value] of Object.entries(set)) {
      await trx
        .insertInto('device_tag')
        .values({ device_id: deviceId, key, value })
        .onConflict((conflict) => conflict.columns(['device_id', 'key']).doUpdateSet({ value }))
        .execute();
    }
    const tags = (await tagsOf(trx, [deviceId])).get(deviceId) ?? {};
    if (Object.keys(tags).length > TAGS_MAX) {
      throw new HubError('conflict', `${deviceId} would have more than ${TAGS_MAX} tags: remove some first`);
    }
    // Twice 64 tags of 263 characters would not fit an entry; for removed tags the key is enough.
    const data = { set: loggedTags(set), remove: remove.slice(0, LOGGED_MAX) };
    await appendEntry(trx, { at: nowMs, kind: 'device-tagged', actor, subject: `device:${deviceId}`, data });
    return tags;
  });
}

// An audit entry has at most 8 KiB: it shows the first tags of a long order, shortened.
const LOGGED_MAX = 32;
const LOGGED_VALUE_MAX = 64;

function loggedTags(tags: Tags): Tags {
  const shown = Object.entries(tags).slice(0, LOGGED_MAX);
  return Object.fromEntries(shown.map(([key, value]) => [key, Array.from(value).slice(0, LOGGED_VALUE_MAX).join('')]));
}

/** Tags that the device has already keep their values. */
export async function addMissingTags(trx: WriteTransaction, deviceId: string, tags: Tags): Promise<void> {
  await trx
    .insertInto('device_tag')
    .values(Object.entries(tags).map(([key, value]) => ({ device_id: deviceId, key, value })))
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

/** The tags of several devices, by device. */
export async function tagsOf(db: Kysely<Tables>, deviceIds: readonly string[]): Promise<ReadonlyMap<string, Tags>> {
  if (deviceIds.length === 0) return new Map();
  const rows = await db
    .selectFrom('device_tag')
    .selectAll()
    .where('device_id', 'in', deviceIds)
    .orderBy('device_id')
    .orderBy('key')
    .execute();
  const tags = new Map<string, Record<string, string>>();
  for (const { device_id: id, key, value } of rows) {
    const own = tags.get(id) ?? {};
    own[key] = value;
    tags.set(id, own);
  }
  return tags;
}
