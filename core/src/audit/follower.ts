// What a witness does with a new checkpoint of the log that it follows: c2sp.org/tlog-witness, add-checkpoint, as values. The caller stores
// the last accepted checkpoint durably before it sends the cosignature, and handles one checkpoint at a time.
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import type { AddCheckpoint } from './add-checkpoint.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import type { ForkProof } from './fork-proof.ts';
import { rootsOfConsistencyProof, verifyConsistency } from './merkle.ts';
import { classicalPart, type VerifierKey } from './note.ts';

/** HTTP meanings of tlog-witness: 400 old size above the new one, 403 not signed by the log, 404 another log, 409 another old size or root, 422 proof does not verify. */
export type RefusalStatus = 400 | 403 | 404 | 409 | 422;

export type FollowVerdict =
  /** Consistent with everything seen: store `request.checkpoint` as the last seen one, then cosign `text`. */
  | { readonly kind: 'consistent'; readonly checkpoint: Checkpoint; readonly text: string }
  /** The log signed two histories. Never cosign again; report the proof. */
  | { readonly kind: 'fork'; readonly proof: ForkProof }
  | Refusal;

/**
 * Must not be cosigned. `lastSize` is the answer of a 409. `unexplained` holds the two signed checkpoints when the log failed to show that
 * one extends the other: not yet a proof of a fork, but the log must explain it.
 */
export interface Refusal {
  readonly kind: 'refused';
  readonly status: RefusalStatus;
  readonly reasons: readonly string[];
  readonly lastSize: number;
  readonly unexplained?: { readonly first: Uint8Array; readonly second: Uint8Array };
}

/** Judges a checkpoint against the last one seen (its signed note; undefined at first contact). A malformed note throws. */
export function followCheckpoint(
  lastSeen: Uint8Array | undefined,
  request: AddCheckpoint,
  logKey: VerifierKey,
): FollowVerdict {
  const last = lastSeen === undefined ? undefined : openLast(lastSeen, logKey);
  const lastSize = last?.checkpoint.size ?? 0;
  const refuse = (status: RefusalStatus, ...reasons: readonly string[]): Refusal => ({
    kind: 'refused',
    status,
    reasons,
    lastSize,
  });

  const opened = openCheckpoint(request.checkpoint, logKey);
  if (opened.kind === 'refused') {
    return refuse(opened.failed === 'origin' ? 404 : 403, ...opened.reasons);
  }
  const { checkpoint, note } = opened;
  if (last !== undefined && checkpoint.size === lastSize && !equalBytes(checkpoint.root, last.checkpoint.root)) {
    return { kind: 'fork', proof: { kind: 'same-size', first: last.bytes, second: request.checkpoint } };
  }
  // A log that became smaller was set back: both of its signatures are worth keeping.
  const isSetBack = last !== undefined && checkpoint.size < lastSize;
  const setBack = isSetBack ? { unexplained: { first: last.bytes, second: request.checkpoint } } : {};
  if (request.oldSize > checkpoint.size) {
    return { ...refuse(400, `old size ${request.oldSize} is above the checkpoint's ${checkpoint.size}`), ...setBack };
  }
  if (request.oldSize !== lastSize) {
    const reason = `the last checkpoint seen has ${lastSize} entries, not ${request.oldSize}`;
    return { ...refuse(409, reason), ...setBack };
  }
  if (last === undefined || lastSize === 0) {
    return request.proof.length === 0
      ? { kind: 'consistent', checkpoint, text: note.text }
      : refuse(422, 'a proof from an empty tree must be empty');
  }
  return judgeProof(last, request, opened);
}

/** Judges the consistency proof from the last checkpoint seen, which is of a tree that is not empty. */
function judgeProof(
  last: { readonly bytes: Uint8Array; readonly checkpoint: Checkpoint },
  request: AddCheckpoint,
  { checkpoint, note }: { readonly checkpoint: Checkpoint; readonly note: { readonly text: string } },
): FollowVerdict {
  const lastSize = last.checkpoint.size;
  const claim = {
    from: lastSize,
    fromRoot: last.checkpoint.root,
    to: checkpoint.size,
    toRoot: checkpoint.root,
    proof: request.proof,
  };
  if (verifyConsistency(claim)) return { kind: 'consistent', checkpoint, text: note.text };

  const roots = rootsOfConsistencyProof(lastSize, checkpoint.size, request.proof);
  if (roots !== undefined && equalBytes(roots.to, checkpoint.root)) {
    // The proof leads to the new root, but from another old one: the log itself shows that it rewrote its past.
    return {
      kind: 'fork',
      proof: {
        kind: 'other-prefix',
        first: last.bytes,
        second: request.checkpoint,
        prefixRoot: roots.from,
        proof: request.proof,
      },
    };
  }
  return {
    kind: 'refused',
    status: 422,
    reasons: [`the consistency proof from ${lastSize} to ${checkpoint.size} entries does not verify`],
    lastSize,
    unexplained: { first: last.bytes, second: request.checkpoint },
  };
}

// The follower verified its stored checkpoint when it arrived; a key that changed since makes it worthless.
function openLast(bytes: Uint8Array, logKey: VerifierKey) {
  // It may be from before the log had a second key.
  const opened = openCheckpoint(bytes, classicalPart(logKey));
  if (opened.kind === 'refused') {
    throw new CoreError('checkpoint-invalid', `the last checkpoint seen: ${opened.reasons.join('; ')}`);
  }
  return { bytes, checkpoint: opened.checkpoint };
}
