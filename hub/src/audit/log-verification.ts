// Verifies every entry of the store against the last checkpoint that the hub signed. A start reads only the newest entries (log.ts).
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { parseNote } from '@edgekeep/core/audit/note';
import { appendLeaves, edgeRoot, emptyEdge } from '@edgekeep/core/audit/tree-edge';
import { equalBytes } from '@edgekeep/core/bytes';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { partsOf } from '../store/engine/parts.ts';
import type { Tables } from '../store/schema.ts';

const entryRow = z.object({ entry: z.instanceof(Uint8Array), leaf_hash: z.instanceof(Uint8Array) });
const noteRow = z.object({ note: z.instanceof(Uint8Array) });
const LEAVES_AT_ONCE = 4_096;

/** What contradicts the checkpoint; undefined where nothing does. */
export async function logProblem(reader: Kysely<Tables>): Promise<string | undefined> {
  return reader.transaction().execute(async (trx) => {
    const saved = await trx.selectFrom('audit_checkpoint').select('note').orderBy('size', 'desc').limit(1).execute();
    const [newest] = saved;
    return newest === undefined ? undefined : problemBefore(trx, noteRow.parse(newest).note);
  });
}

async function problemBefore(trx: Kysely<Tables>, note: Uint8Array): Promise<string | undefined> {
  const { size, root } = parseCheckpoint(parseNote(note).text);
  let edge = emptyEdge;
  let leaves: Uint8Array[] = [];
  const entries = trx.selectFrom('audit_entry').select(['entry', 'leaf_hash']).where('log_index', '<', size);
  for await (const part of partsOf(trx, entries.orderBy('log_index'))) {
    for (const row of part) {
      const { entry, leaf_hash: stored } = entryRow.parse(row);
      const computed = leafHash(entry);
      if (!equalBytes(computed, stored))
        return `entry ${edge.size + leaves.length} of the log is not the one that was logged`;
      leaves.push(computed);
    }
    if (leaves.length < LEAVES_AT_ONCE) continue;
    edge = appendLeaves(edge, leaves).edge;
    leaves = [];
  }
  edge = appendLeaves(edge, leaves).edge;
  return edge.size === size && equalBytes(edgeRoot(edge), root)
    ? undefined
    : `the first ${size} entries of the log do not match its last checkpoint`;
}
