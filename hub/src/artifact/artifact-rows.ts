// Which objects of a bucket make up a sealed file, and what arrived of an upload. A file's row is there before its first object: what a killed
// hub left behind is found by its row, and never by a listing, which may have objects of others.
import { randomBytes } from 'node:crypto';
import { sha256Hex } from '@edgekeep/core/digest';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import type { WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { ArtifactFileRow, ArtifactPartRow } from '../store/tables/artifact.ts';
import type { StoredArtifact } from './artifact-store.ts';
import { BLOCK_BYTES, PART_BYTES } from './part-hash.ts';

export type PartName = Pick<ArtifactPartRow, 'number' | 'sha256' | 'size'>;

/** One request's hold on a file that is being sent. */
export type Writing = Pick<ArtifactFileRow, 'id' | 'writer'>;

/** Where the objects of a file are. */
export const folderOf = (id: string) => `models/${id}/`;
export const keyOf = (id: string, { number, sha256 }: Pick<PartName, 'number' | 'sha256'>) =>
  `${folderOf(id)}${String(number).padStart(6, '0')}-${sha256}`;

const randomId = () => randomBytes(16).toString('hex');

/** A new upload of this name, or of none; an earlier one of the name ends. */
export async function beginFile(trx: WriteTransaction, upload: string | undefined, nowMs: number): Promise<Writing> {
  const name = upload === undefined ? null : sha256Hex(upload);
  if (name !== null) {
    const ended = { state: 'removed', upload: null, touched_at: nowMs } as const;
    await trx.updateTable('artifact_file').set(ended).where('upload', '=', name).execute();
  }
  const writing = { id: randomId(), writer: randomId() };
  const begun = { state: 'incoming', upload: name, sha256: null, size: null, touched_at: nowMs } as const;
  const lengths = { part_bytes: PART_BYTES, block_bytes: BLOCK_BYTES };
  await trx
    .insertInto('artifact_file')
    .values({ ...writing, ...begun, ...lengths })
    .execute();
  return writing;
}

export interface Begun {
  readonly file: ArtifactFileRow;
  readonly parts: readonly PartName[];
}

/** What arrived of an upload; undefined where nothing did. */
export async function findUpload(db: Kysely<Tables>, upload: string): Promise<Begun | undefined> {
  const file = await db
    .selectFrom('artifact_file')
    .selectAll()
    .where('upload', '=', sha256Hex(upload))
    .executeTakeFirst();
  return file && { file, parts: await partsOf(db, file.id) };
}

/**
 * Goes on with a file that was found `begun`, and forgets its parts from `from` on. Throws `conflict` where another request, of another node
 * too, has gone on with it since.
 */
export async function continueFile(
  trx: WriteTransaction,
  { file: { id, writer } }: Begun,
  from: number,
  nowMs: number,
): Promise<Writing> {
  const writing = { id, writer: randomId() };
  const taken = await trx
    .updateTable('artifact_file')
    .set({ writer: writing.writer, touched_at: nowMs })
    .where('id', '=', id)
    .where('writer', '=', writer)
    .where('state', '=', 'incoming')
    .executeTakeFirst();
  if (taken.numUpdatedRows === 0n) throw sentElsewhere();
  await trx.deleteFrom('artifact_part').where('file', '=', id).where('number', '>=', from).execute();
  return writing;
}

/** Adds a part, whose object is there already, or takes its place. */
export async function addPart(
  trx: WriteTransaction,
  writing: Writing,
  part: Omit<ArtifactPartRow, 'file'>,
  nowMs: number,
) {
  await assertWriting(trx, writing, { touched_at: nowMs });
  const { id: file } = writing;
  const { sha256, size, blocks } = part;
  await trx
    .insertInto('artifact_part')
    .values({ file, ...part })
    .onConflict((conflict) => conflict.columns(['file', 'number']).doUpdateSet({ sha256, size, blocks }))
    .execute();
}

/** All parts are there. Other files of the same content, of an upload that was sent twice, end. */
export async function completeFile(trx: WriteTransaction, writing: Writing, stored: StoredArtifact, nowMs: number) {
  await assertWriting(trx, writing, { state: 'complete', upload: null, ...stored, touched_at: nowMs });
  await trx
    .updateTable('artifact_file')
    .set({ state: 'removed', touched_at: nowMs })
    .where('sha256', '=', stored.sha256)
    .where('state', '=', 'complete')
    .where('id', '<>', writing.id)
    .execute();
}

async function assertWriting(
  trx: WriteTransaction,
  { id, writer }: Writing,
  set: Partial<ArtifactFileRow>,
): Promise<void> {
  const { numUpdatedRows } = await trx
    .updateTable('artifact_file')
    .set(set)
    .where('id', '=', id)
    .where('writer', '=', writer)
    .where('state', '=', 'incoming')
    .executeTakeFirst();
  if (numUpdatedRows === 0n) throw sentElsewhere();
}

export async function findComplete(db: Kysely<Tables>, sha256: string): Promise<ArtifactFileRow | undefined> {
  return db
    .selectFrom('artifact_file')
    .selectAll()
    .where('sha256', '=', sha256)
    .where('state', '=', 'complete')
    .executeTakeFirst();
}

export async function findPart(db: Kysely<Tables>, file: string, number: number): Promise<ArtifactPartRow | undefined> {
  return db
    .selectFrom('artifact_part')
    .selectAll()
    .where('file', '=', file)
    .where('number', '=', number)
    .executeTakeFirst();
}

export async function partsOf(db: Kysely<Tables>, file: string): Promise<readonly PartName[]> {
  return db
    .selectFrom('artifact_part')
    .select(['number', 'sha256', 'size'])
    .where('file', '=', file)
    .orderBy('number')
    .execute();
}

/** Complete files after this id, in the order of their ids. */
export async function completeAfter(
  db: Kysely<Tables>,
  id: string,
  limit: number,
): Promise<readonly ArtifactFileRow[]> {
  return db
    .selectFrom('artifact_file')
    .selectAll()
    .where('state', '=', 'complete')
    .where('id', '>', id)
    .orderBy('id')
    .limit(limit)
    .execute();
}

/** Files of this content that were stored before; their objects go when readers that opened them have ended. */
export async function endFile(trx: WriteTransaction, sha256: string, beforeMs: number, nowMs: number): Promise<void> {
  await trx
    .updateTable('artifact_file')
    .set({ state: 'removed', touched_at: nowMs })
    .where('sha256', '=', sha256)
    .where('state', '=', 'complete')
    .where('touched_at', '<', beforeMs)
    .execute();
}

/** Uploads that nobody went on with since `beforeMs` end. */
export async function endOldUploads(trx: WriteTransaction, beforeMs: number, nowMs: number): Promise<void> {
  await trx
    .updateTable('artifact_file')
    .set({ state: 'removed', upload: null, touched_at: nowMs })
    .where('state', '=', 'incoming')
    .where('touched_at', '<', beforeMs)
    .execute();
}

/** Files that ended before. */
export async function endedBefore(db: Kysely<Tables>, beforeMs: number, limit: number): Promise<readonly string[]> {
  const rows = await db
    .selectFrom('artifact_file')
    .select('id')
    .where('state', '=', 'removed')
    .where('touched_at', '<', beforeMs)
    .orderBy('touched_at')
    .limit(limit)
    .execute();
  return rows.map(({ id }) => id);
}

/** Its objects are gone. */
export async function forgetFile(trx: WriteTransaction, id: string): Promise<void> {
  await trx.deleteFrom('artifact_part').where('file', '=', id).execute();
  await trx.deleteFrom('artifact_file').where('id', '=', id).where('state', '=', 'removed').execute();
}

function sentElsewhere(): HubError {
  return new HubError(
    'conflict',
    'another request sends this file now, or has ended it: ask for its offset and go on there',
  );
}
