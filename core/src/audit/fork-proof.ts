// A portable proof that a log forked: two checkpoints that it signed and that cannot both be true (spec/audit-log.md, "Fork proof").
// Anybody with the log's public key can verify it; only the holder of the log's private key can make one.
import { z } from 'zod';
import { equalBytes, parseBase64url, parseUtf8, toBase64, toBase64url, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseCanonicalJson } from '../json.ts';
import { type Checkpoint, openCheckpoint } from './checkpoint.ts';
import { AUDIT_ENTRY_BYTES_MAX } from './entry.ts';
import { verifyLogEnd } from './hand-over.ts';
import { PROOF_HASHES_MAX, verifyConsistency } from './merkle.ts';
import { assertNesting } from '../nesting.ts';
import { classicalPart, NOTE_BYTES_MAX, type VerifierKey } from './note.ts';
import { parseProofHash } from './proof.ts';

/**
 * `same-size`: two roots for one tree size. `other-prefix`: the larger tree starts with `prefixRoot` where the smaller checkpoint has
 * another root; the consistency proof ties `prefixRoot` to the larger checkpoint, so the log itself vouches for both. `after-end`: the log
 * ended with an entry that named its successor, and signed a larger tree.
 */
export type ForkProof =
  | { readonly kind: 'same-size'; readonly first: Uint8Array; readonly second: Uint8Array }
  /** `first` is a log's last checkpoint, by its entry that ended it; `second` is a larger one: the log went on. */
  | {
      readonly kind: 'after-end';
      readonly first: Uint8Array;
      readonly second: Uint8Array;
      readonly entry: Uint8Array;
      readonly proof: readonly Uint8Array[];
    }
  | {
      readonly kind: 'other-prefix';
      readonly first: Uint8Array;
      readonly second: Uint8Array;
      readonly prefixRoot: Uint8Array;
      readonly proof: readonly Uint8Array[];
    };

export const FORK_PROOF_BYTES_MAX: number = 3 * NOTE_BYTES_MAX;

const note = z.string().max(NOTE_BYTES_MAX);
const hash = z.string().length(44);
const schema = z.discriminatedUnion('kind', [
  z.strictObject({
    type: z.literal('edgekeep-fork-proof/v1'),
    kind: z.literal('same-size'),
    first: note,
    second: note,
  }),
  z.strictObject({
    type: z.literal('edgekeep-fork-proof/v1'),
    kind: z.literal('after-end'),
    first: note,
    second: note,
    entry: z.string().max(2 * AUDIT_ENTRY_BYTES_MAX),
    proof: z.array(hash).max(PROOF_HASHES_MAX),
  }),
  z.strictObject({
    type: z.literal('edgekeep-fork-proof/v1'),
    kind: z.literal('other-prefix'),
    first: note,
    second: note,
    prefixRoot: hash,
    proof: z.array(hash).max(PROOF_HASHES_MAX),
  }),
]);

export type ForkVerdict =
  | { readonly kind: 'proven'; readonly first: Checkpoint; readonly second: Checkpoint }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * Whether the proof shows that the holder of `logKeys` signed two checkpoints that contradict each other. The Ed25519 signatures count: a log
 * must not escape by leaving out the other one.
 */
export function verifyForkProof(proof: ForkProof, logKeys: VerifierKey): ForkVerdict {
  const logKey = classicalPart(logKeys);
  const first = openCheckpoint(proof.first, logKey);
  if (first.kind === 'refused') return refused(`first checkpoint: ${first.reasons.join('; ')}`);
  const second = openCheckpoint(proof.second, logKey);
  if (second.kind === 'refused') return refused(`second checkpoint: ${second.reasons.join('; ')}`);
  const [older, newer] = [first.checkpoint, second.checkpoint];
  const contradiction = contradictionIn(proof, older, newer, logKey);
  return contradiction === undefined ? { kind: 'proven', first: older, second: newer } : refused(contradiction);
}

/** The reason why there is no contradiction; undefined when there is one. */
function contradictionIn(
  proof: ForkProof,
  older: Checkpoint,
  newer: Checkpoint,
  logKey: VerifierKey,
): string | undefined {
  switch (proof.kind) {
    case 'same-size':
      return sameSize(older, newer);
    case 'other-prefix':
      return otherPrefix(older, newer, proof);
    case 'after-end': {
      const { first: checkpoint, entry, proof: path } = proof;
      const end = verifyLogEnd({ checkpoint, entry, proof: path }, logKey);
      if (end.kind === 'refused') return end.reasons.join('; ');
      return newer.size > older.size ? undefined : `the log ended at ${older.size} entries, and did not go on`;
    }
  }
}

function sameSize(first: Checkpoint, second: Checkpoint): string | undefined {
  if (first.size !== second.size) return `the tree sizes ${first.size} and ${second.size} differ`;
  return equalBytes(first.root, second.root) ? 'both checkpoints name the same root' : undefined;
}

function otherPrefix(
  first: Checkpoint,
  second: Checkpoint,
  { prefixRoot, proof }: Extract<ForkProof, { kind: 'other-prefix' }>,
): string | undefined {
  if (first.size === 0 || first.size >= second.size) {
    return `expected a smaller tree before a larger one, found ${first.size} and ${second.size}`;
  }
  if (equalBytes(prefixRoot, first.root)) return 'the larger tree starts with the smaller one';
  const tied = { from: first.size, fromRoot: prefixRoot, to: second.size, toRoot: second.root, proof };
  return verifyConsistency(tied) ? undefined : 'the consistency proof does not tie the prefix to the larger tree';
}

export function encodeForkProof(proof: ForkProof): Uint8Array {
  const notes = {
    type: 'edgekeep-fork-proof/v1',
    first: parseUtf8(proof.first, 'first checkpoint'),
    second: parseUtf8(proof.second, 'second checkpoint'),
  };
  if (proof.kind === 'same-size') return encodeCanonicalJson({ ...notes, kind: proof.kind });
  const path = { ...notes, proof: proof.proof.map(toBase64) };
  if (proof.kind === 'after-end')
    return encodeCanonicalJson({ ...path, kind: proof.kind, entry: toBase64url(proof.entry) });
  return encodeCanonicalJson({ ...path, kind: proof.kind, prefixRoot: toBase64(proof.prefixRoot) });
}

export function parseForkProof(bytes: Uint8Array): ForkProof {
  if (bytes.length > FORK_PROOF_BYTES_MAX) {
    throw new CoreError(
      'proof-invalid',
      `a fork proof of ${bytes.length} bytes, at most ${FORK_PROOF_BYTES_MAX} are read`,
    );
  }
  assertNesting(bytes, 'fork proof', 'proof-invalid');
  const value = parseCanonicalJson(bytes, schema, 'fork proof', 'proof-invalid');
  const notes = { first: utf8(value.first), second: utf8(value.second) };
  if (value.kind === 'same-size') return { kind: value.kind, ...notes };
  if (value.kind === 'after-end') {
    const entry = parseBase64url(value.entry, 'entry');
    return { kind: value.kind, ...notes, entry, proof: value.proof.map(parseProofHash) };
  }
  return {
    kind: value.kind,
    ...notes,
    prefixRoot: parseProofHash(value.prefixRoot),
    proof: value.proof.map(parseProofHash),
  };
}

function refused(reason: string): ForkVerdict {
  return { kind: 'refused', reasons: [reason] };
}
