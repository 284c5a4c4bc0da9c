// The hand-over of the log to its next key (spec/audit-log.md, "Hand-over"), in one transaction: the entry that ends the former log, its last
// checkpoint, and the entry with which the next one begins. The tree goes on.
import { logBegun, logEnded, type LogBeginning, type LogEnd } from '@edgekeep/core/audit/hand-over';
import { leafHash } from '@edgekeep/core/audit/merkle';
import {
  encodeVerifierKey,
  type NoteSigner,
  parseNote,
  type VerifierKey,
  verifierKey,
  verifierKeyOf,
} from '@edgekeep/core/audit/note';
import { parseCheckpoint, signCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { appendLeaves, edgeRoot } from '@edgekeep/core/audit/tree-edge';
import { encodeSpki, parseSpki } from '@edgekeep/core/identity/public-key';
import type { Signer } from '@edgekeep/core/signer';
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { AuditLogRow } from '../store/tables/audit.ts';
import { appendEntry } from './append.ts';
import type { AuditLog, PendingHandOver } from './log.ts';

export interface HandOverOrder {
  readonly next: NoteSigner;
  readonly actor: string;
  readonly nowMs: number;
}

/** Runs last in its transaction. Throws `conflict` for a log with a second key, which its successor would lack. */
export async function handOver(
  trx: WriteTransaction,
  log: AuditLog,
  { next, actor, nowMs }: HandOverOrder,
): Promise<void> {
  const { signer: former, key, edge: before } = log;
  if (former.postQuantum !== undefined)
    throw new HubError('conflict', 'the log has a second key (`logPostQuantum`): it cannot be handed over');
  const by = { actor, at: nowMs };
  const nextKey = verifierKeyOf(next, 'ed25519');
  const last = await appendEntry(trx, logEnded(key, nextKey, by));
  const rows = await trx
    .selectFrom('audit_entry')
    .select('entry')
    .where('log_index', '>=', before.size)
    .orderBy('log_index')
    .execute();
  const { edge } = appendLeaves(
    before,
    rows.map(({ entry }) => leafHash(entry)),
  );
  const head = { size: edge.size, root: edgeRoot(edge) };
  if (head.size !== last + 1) throw new HubError('store-failed', 'the log grew while it was handed over: try again');
  const note = await signCheckpoint(head, former);
  await appendEntry(trx, logBegun(nextKey, key, note, by));
  await recordEnd(trx, { key, size: head.size, note });
  const number = (await readLogs(trx)).length + 1;
  const row = { number, origin: next.name, spki: encodeSpki(next.signer.publicKey), first_index: head.size };
  await trx
    .insertInto('audit_log')
    .values({ ...row, closed_size: null, final_note: null })
    .execute();
  log.prepareHandOver({ ...head, note, next });
}

async function recordEnd(
  trx: WriteTransaction,
  { key, size, note }: { readonly key: VerifierKey; readonly size: number; readonly note: Uint8Array },
): Promise<void> {
  const logs = await readLogs(trx);
  const ended = { closed_size: size, final_note: note };
  if (logs.length > 0) {
    await trx.updateTable('audit_log').set(ended).where('number', '=', logs.length).execute();
    return;
  }
  const first = { number: 1, origin: key.name, spki: encodeSpki(key.publicKey), first_index: 0 };
  await trx
    .insertInto('audit_log')
    .values({ ...first, ...ended })
    .execute();
}

/** The logs that followed one another, oldest first; empty before the first hand-over. */
export async function readLogs(db: Kysely<Tables>): Promise<readonly AuditLogRow[]> {
  return db.selectFrom('audit_log').selectAll().orderBy('number').execute();
}

/** Where the log with this key ended, and who signs from there on; undefined while it goes on. */
export async function endOfLog(
  db: Kysely<Tables>,
  key: VerifierKey,
  signerOf: (spki: Uint8Array) => Promise<Signer>,
): Promise<PendingHandOver | undefined> {
  const logs = await readLogs(db);
  const at = logs.findIndex((row) => keyOfLog(row).id === key.id);
  const [row, successor] = [logs[at], logs[at + 1]];
  if (row === undefined || successor === undefined) return undefined;
  const { closed_size: size, final_note: note } = row;
  if (size === null || note === null) return undefined;
  const { root } = parseCheckpoint(parseNote(note).text);
  return { size, root, note, next: { name: successor.origin, signer: await signerOf(successor.spki) } };
}

export function keyOfLog({ origin, spki }: Pick<AuditLogRow, 'origin' | 'spki'>): VerifierKey {
  return verifierKey(origin, parseSpki(spki), 'ed25519');
}

export interface ProvenHandOver {
  readonly former: string;
  readonly next: string;
  readonly end: LogEnd;
  readonly begin: LogBeginning;
}

/** Every hand-over with its proofs to the latest checkpoint; of an older one to the checkpoint with which its successor ended. */
export async function provenHandOvers(database: Database, log: AuditLog): Promise<readonly ProvenHandOver[]> {
  const logs = await readLogs(database.read);
  const proven: ProvenHandOver[] = [];
  for (const [at, { closed_size: size, final_note: note, ...row }] of logs.entries()) {
    const successor = logs[at + 1];
    if (size === null || note === null || successor === undefined || log.size <= size) continue;
    const end = {
      checkpoint: note,
      entry: await entryAt(database, size - 1),
      proof: await log.inclusion(size - 1, size),
    };
    const { closed_size: nextSize, final_note: nextNote } = successor;
    const reached =
      nextSize === null || nextNote === null
        ? await log.reached(size, size)
        : {
            checkpoint: nextNote,
            proof: await log.inclusion(size, nextSize),
            consistency: await log.consistency(size, nextSize),
          };
    const begin = { ...reached, entry: await entryAt(database, size) };
    proven.push({ former: encodeVerifierKey(keyOfLog(row)), next: encodeVerifierKey(keyOfLog(successor)), end, begin });
  }
  return proven;
}

async function entryAt(database: Database, index: number): Promise<Uint8Array> {
  const { entry } = await database.read
    .selectFrom('audit_entry')
    .select('entry')
    .where('log_index', '=', index)
    .executeTakeFirstOrThrow();
  return entry;
}
