// Desired and reported attributes (spec/registry.md, "Attributes"): one JSON document per side with a version that grows by one with every
// change, and one row for each leaf, so that filters find it by an index.
import { canonicalText } from '@edgekeep/core/canonical/text';
import { type Attributes, keptAttributesSchema } from '@edgekeep/wire/api/attributes';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import { getDevice } from './states.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceAttributeRow, DocumentSide } from '../store/tables/registry.ts';

// Longer texts are stored but cannot be compared.
const COMPARED_CHARACTERS_MAX = 256;
const saidAgainMs = 60_000;
// Rows of one statement: far below the engines' limit of parameters.
const rowsAtOnce = 50;

export interface Document {
  /** 0 before anything was written. */
  readonly version: number;
  readonly attributes: Attributes;
  readonly updatedAt: number | null;
}

export async function documentOf(db: Kysely<Tables>, deviceId: string, side: DocumentSide): Promise<Document> {
  const row = await db
    .selectFrom('device_document')
    .selectAll()
    .where('device_id', '=', deviceId)
    .where('side', '=', side)
    .executeTakeFirst();
  if (row === undefined) return { version: 0, attributes: {}, updatedAt: null };
  return {
    version: row.version,
    attributes: keptAttributesSchema.parse(JSON.parse(row.document)),
    updatedAt: row.updated_at,
  };
}

export interface DesiredOrder {
  readonly deviceId: string;
  readonly attributes: Attributes;
  /** The version that the operator saw; undefined to replace any version. */
  readonly replaces: number | undefined;
  readonly actor: string;
  readonly nowMs: number;
}

/** Replaces the desired attributes of the device. Throws `conflict` when another operator was faster. */
export async function setDesired(database: Database, order: DesiredOrder): Promise<Document> {
  const { deviceId, attributes, replaces, actor, nowMs } = order;
  return database.write(async (trx) => {
    await getDevice(trx, deviceId);
    const before = await documentOf(trx, deviceId, 'desired');
    if (replaces !== undefined && replaces !== before.version) {
      throw new HubError(
        'conflict',
        `the desired attributes are at version ${before.version}, not ${replaces}: read them again`,
      );
    }
    const after = await replaceDocument(trx, { deviceId, side: 'desired', attributes, nowMs }, before);
    if (after.version !== before.version) {
      const data = { version: after.version, sha256: sha256Hex(JSON.stringify(attributes)) };
      await appendEntry(trx, { at: nowMs, kind: 'desired-changed', actor, subject: `device:${deviceId}`, data });
    }
    return after;
  });
}

/** Desired attributes for a new device; a device that has some keeps them. */
export async function giveDesired(
  trx: WriteTransaction,
  deviceId: string,
  attributes: Attributes,
  nowMs: number,
): Promise<void> {
  const before = await documentOf(trx, deviceId, 'desired');
  if (before.version === 0) await replaceDocument(trx, { deviceId, side: 'desired', attributes, nowMs }, before);
}

/** Replaces the reported attributes of the device; an unchanged document only updates the time. */
export async function recordReported(
  trx: WriteTransaction,
  deviceId: string,
  attributes: Attributes,
  nowMs: number,
): Promise<void> {
  const before = await documentOf(trx, deviceId, 'reported');
  const { version } = await replaceDocument(trx, { deviceId, side: 'reported', attributes, nowMs }, before);
  // An unchanged report is as fresh as a new one; once a minute is fresh enough.
  if (version !== before.version || Math.abs(nowMs - (before.updatedAt ?? 0)) < saidAgainMs) return;
  await trx
    .updateTable('device_document')
    .set({ updated_at: nowMs })
    .where('device_id', '=', deviceId)
    .where('side', '=', 'reported')
    .execute();
}

interface Replacement {
  readonly deviceId: string;
  readonly side: DocumentSide;
  readonly attributes: Attributes;
  readonly nowMs: number;
}

async function replaceDocument(trx: WriteTransaction, order: Replacement, before: Document): Promise<Document> {
  const { deviceId, side, attributes, nowMs } = order;
  const document = JSON.stringify(attributes);
  if (before.version > 0 && document === JSON.stringify(before.attributes)) return before;
  const version = before.version + 1;
  await trx
    .insertInto('device_document')
    .values({ device_id: deviceId, side, version, document, updated_at: nowMs })
    .onConflict((conflict) =>
      conflict.columns(['device_id', 'side']).doUpdateSet({ version, document, updated_at: nowMs }),
    )
    .execute();
  await trx.deleteFrom('device_attribute').where('device_id', '=', deviceId).where('side', '=', side).execute();
  const leaves = leavesOf(attributes, []).map((leaf) => ({ device_id: deviceId, side, ...leaf }));
  for (let from = 0; from < leaves.length; from += rowsAtOnce) {
    await trx
      .insertInto('device_attribute')
      .values(leaves.slice(from, from + rowsAtOnce))
      .execute();
  }
  return { version, attributes, updatedAt: nowMs };
}

type Leaf = Pick<DeviceAttributeRow, 'path' | 'text_value' | 'number_value'>;

/** The leaves that filters see of a document. Lists have no paths inside; they count as one leaf without a value. */
function leavesOf(value: unknown, keys: readonly string[]): readonly Leaf[] {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.entries(value).flatMap(([key, member]) => leavesOf(member, [...keys, key]));
  }
  // Filters compare texts in canonical form; the document keeps the original.
  const text =
    typeof value === 'string' ? canonicalText(value) : Array.isArray(value) ? undefined : JSON.stringify(value);
  const short = text !== undefined && text.length <= COMPARED_CHARACTERS_MAX ? text : null;
  return [{ path: keys.join('.'), text_value: short, number_value: typeof value === 'number' ? value : null }];
}
