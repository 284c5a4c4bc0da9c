// How a device follows its log from one key to the next (spec/audit-log.md, "Hand-over"): by the words of both logs, under keys that the root
// certified. What it saw of the former log must lie before its end.
import { openCheckpoint } from '@edgekeep/core/audit/checkpoint';
import type { ForkProof } from '@edgekeep/core/audit/fork-proof';
import { type LogEnd, logPartOf, verifyHandOver, verifyLogEnd } from '@edgekeep/core/audit/hand-over';
import { PROOF_HASHES_MAX, verifyConsistency } from '@edgekeep/core/audit/merkle';
import { classicalPart, encodeVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { parseProofHash } from '@edgekeep/core/audit/proof';
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import type { checkpointResponse } from '@edgekeep/wire/api/audit';
import type { z } from 'zod';

type Offered = z.infer<typeof checkpointResponse>;

export type HandOverVerdict =
  | {
      readonly kind: 'followed';
      readonly end: LogEnd;
      /** Of the newest log. */
      readonly checkpoint: Uint8Array;
    }
  | { readonly kind: 'fork'; readonly proof: ForkProof }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** The key among these that signed a checkpoint. */
export function keyThatSigned(checkpoint: Uint8Array, keys: readonly VerifierKey[]): VerifierKey | undefined {
  return keys.find((key) => openCheckpoint(checkpoint, key).kind === 'verified');
}

/** Follows the hand-overs in a hub's answer from the log of `lastSeen` on. Malformed bytes throw. */
export function followHandOvers(lastSeen: Uint8Array, offered: Offered, keys: readonly VerifierKey[]): HandOverVerdict {
  let former = keyThatSigned(lastSeen, keys.map(classicalPart));
  const seen = former === undefined ? undefined : openCheckpoint(lastSeen, former);
  if (former === undefined || seen?.kind !== 'verified') return refused('what was seen last is of no known log');
  let end: LogEnd | undefined;
  for (const step of offered.handOvers ?? []) {
    if (step.former !== textOf(former)) continue;
    const next = keys.find((key) => textOf(key) === step.next);
    if (next === undefined) return refused('the root has not certified the key of the next log');
    const parts = { end: logPartOf(step.end), begin: { ...logPartOf(step.begin), consistency: hashes(step.begin) } };
    const ended = verifyLogEnd(parts.end, former);
    if (ended.kind === 'ended' && end === undefined && seen.checkpoint.size > ended.checkpoint.size) {
      const { checkpoint: first, entry, proof } = parts.end;
      return { kind: 'fork', proof: { kind: 'after-end', first, second: lastSeen, entry, proof } };
    }
    const verdict = verifyHandOver(parts.end, parts.begin, {
      former: classicalPart(former),
      next: classicalPart(next),
    });
    if (verdict.kind === 'refused') return verdict;
    [former, end] = [next, parts.end];
    if (step.begin.checkpoint !== offered.checkpoint) continue;
    const { size, root } = verdict.checkpoint;
    const { size: from, root: fromRoot } = seen.checkpoint;
    // Both are beginnings of one tree, and the shorter is the beginning of the longer.
    const extended = verifyConsistency({ from, fromRoot, to: size, toRoot: root, proof: hashes(offered) });
    if (from > 0 && !extended) return refused('the next log does not contain what was seen of the former one');
    return { kind: 'followed', end, checkpoint: utf8(offered.checkpoint) };
  }
  return refused('the hub does not show how its log was handed over to this one');
}

/** The log before this one went on after its end: the proof, when a checkpoint shows it. */
export function wentOn(end: LogEnd, checkpoint: Uint8Array, keys: readonly VerifierKey[]): ForkProof | undefined {
  const key = keyThatSigned(checkpoint, keys.map(classicalPart));
  if (key === undefined) return undefined;
  const ended = verifyLogEnd(end, key);
  const opened = openCheckpoint(checkpoint, key);
  if (ended.kind === 'refused' || opened.kind === 'refused') return undefined;
  if (opened.checkpoint.size <= ended.checkpoint.size) return undefined;
  return { kind: 'after-end', first: end.checkpoint, second: checkpoint, entry: end.entry, proof: end.proof };
}

function textOf(key: VerifierKey): string {
  return encodeVerifierKey(classicalPart(key));
}

function hashes({ consistency }: { readonly consistency: readonly string[] }): readonly Uint8Array[] {
  if (consistency.length > PROOF_HASHES_MAX) throw new CoreError('proof-invalid', 'too many proof hashes');
  return consistency.map(parseProofHash);
}

function refused(reason: string): HandOverVerdict {
  return { kind: 'refused', reasons: [reason] };
}
