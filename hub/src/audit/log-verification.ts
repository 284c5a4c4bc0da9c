// Verifies every entry of the store against the last checkpoint that the hub signed. A start reads only the newest entries (log.ts).
import type { DatabaseSync } from 'node:sqlite';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { leafHash } from '@edgekeep/core/audit/merkle';
import { parseNote } from '@edgekeep/core/audit/note';
import { appendLeaves, edgeRoot, emptyEdge } from '@edgekeep/core/audit/tree-edge';
import { equalBytes } from '@edgekeep/core/bytes';
import { z } from 'zod';

const entryRow = z.object({ entry: z.instanceof(Uint8Array), leaf_hash: z.instanceof(Uint8Array) });
const noteRow = z.object({ note: z.instanceof(Uint8Array) });
const LEAVES_AT_ONCE = 4_096;

/** What contradicts the checkpoint; undefined where nothing does. */
export function logProblem(store: DatabaseSync): string | undefined {
  const saved = store.prepare('select note from audit_checkpoint order by size desc limit 1').get();
  if (saved === undefined) return undefined;
  const { size, root } = parseCheckpoint(parseNote(noteRow.parse(saved).note).text);
  let edge = emptyEdge;
  let leaves: Uint8Array[] = [];
  const entries = store.prepare('select entry, leaf_hash from audit_entry where log_index < ? order by log_index');
  for (const row of entries.iterate(size)) {
    const { entry, leaf_hash: stored } = entryRow.parse(row);
    const computed = leafHash(entry);
    if (!equalBytes(computed, stored))
      return `entry ${edge.size + leaves.length} of the log is not the one that was logged`;
    leaves.push(computed);
    if (leaves.length < LEAVES_AT_ONCE) continue;
    edge = appendLeaves(edge, leaves).edge;
    leaves = [];
  }
  edge = appendLeaves(edge, leaves).edge;
  return edge.size === size && equalBytes(edgeRoot(edge), root)
    ? undefined
    : `the first ${size} entries of the log do not match its last checkpoint`;
}
