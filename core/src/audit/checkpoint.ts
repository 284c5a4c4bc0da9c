// A log's statement about itself, c2sp.org/tlog-checkpoint: origin, tree size and root hash, as a signed note.
import { equalBytes, parseBase64, toBase64 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { emptyRoot, hashLength, TREE_SIZE_MAX } from './merkle.ts';
import {
  encodeNote,
  type NoteSigner,
  parseNote,
  type SignedNote,
  signNote,
  type VerifierKey,
  verifyNote,
} from './note.ts';
import { cosignTree, treeCosignedAt } from './subtree-cosignature.ts';

export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
  /** Opaque lines that a log may add; ours adds none. */
  readonly extensions: readonly string[];
}

/** A checkpoint whose log signature was verified, with its note. */
export interface VerifiedCheckpoint {
  readonly checkpoint: Checkpoint;
  readonly note: SignedNote;
}

export type CheckpointVerdict =
  | ({ readonly kind: 'verified' } & VerifiedCheckpoint)
  | { readonly kind: 'refused'; readonly failed: 'origin' | 'signature'; readonly reasons: readonly string[] };

/**
 * Reads a signed checkpoint and verifies the log's signature. The origin must be the key's name unless another is given. Malformed bytes
 * throw.
 */
export function openCheckpoint(bytes: Uint8Array, logKey: VerifierKey, origin = logKey.name): CheckpointVerdict {
  const note = parseNote(bytes);
  const found = note.text.slice(0, note.text.indexOf('\n'));
  if (found !== origin) {
    const reason = `the checkpoint is of ${JSON.stringify(found)}, not of ${JSON.stringify(origin)}`;
    return { kind: 'refused', failed: 'origin', reasons: [reason] };
  }
  const verdict = verifyNote(note, logKey);
  if (verdict.kind === 'refused') return { ...verdict, failed: 'signature' };
  const checkpoint = parseCheckpoint(note.text);
  const missing = postQuantumRefusal(note, checkpoint, logKey.postQuantum);
  if (missing !== undefined) return { kind: 'refused', failed: 'signature', reasons: [missing] };
  return { kind: 'verified', checkpoint, note };
}

// A reader that knows both keys of the log accepts neither signature alone: a note with one of them stripped is refused.
function postQuantumRefusal(note: SignedNote, checkpoint: Checkpoint, key: VerifierKey | undefined) {
  if (key === undefined) return undefined;
  const times = treeCosignedAt(note, checkpoint, key);
  if (times === false) return `the ML-DSA-44 signature by ${key.name}+${key.id} is false`;
  return times.length > 0 ? undefined : `no ML-DSA-44 signature by ${key.name}+${key.id}, and this log has such a key`;
}

/** The signed note for a tree head; origin and key name are one. */
export async function signCheckpoint(
  head: { readonly size: number; readonly root: Uint8Array },
  signer: NoteSigner,
): Promise<Uint8Array> {
  const text = encodeCheckpoint({ origin: signer.name, size: head.size, root: head.root, extensions: [] });
  const note = await signNote(text, signer);
  if (signer.postQuantum === undefined) return encodeNote(note);
  const line = await cosignTree({ origin: signer.name, ...head }, 0, { name: signer.name, signer: signer.postQuantum });
  return encodeNote({ text, signatures: [...note.signatures, line] });
}

/** Reads the text of a note as a checkpoint; throws `checkpoint-invalid` with the reason. */
export function parseCheckpoint(text: string): Checkpoint {
  if (!text.endsWith('\n')) throw invalid('the last line does not end in a newline');
  const [origin, sizeText, rootText, ...extensions] = text.slice(0, -1).split('\n');
  if (origin === undefined || origin === '' || sizeText === undefined || rootText === undefined) {
    throw invalid('expected the lines origin, tree size and root hash');
  }
  if (extensions.includes('')) throw invalid('an extension line is empty');
  const size = parseTreeSize(sizeText);
  const root = parseBase64(rootText, 'root hash');
  if (root.length !== hashLength) throw invalid(`the root hash has ${root.length} bytes, not ${hashLength}`);
  if (size === 0 && !equalBytes(root, emptyRoot)) throw invalid('the root of an empty tree is the hash of nothing');
  return { origin, size, root, extensions };
}

/** The signed text. */
function encodeCheckpoint({ origin, size, root, extensions }: Checkpoint): string {
  return [origin, size, toBase64(root), ...extensions].map((line) => `${line}\n`).join('');
}

/** ASCII decimal without leading zeroes, as tree sizes and indices are written everywhere in the formats of the log. */
export function parseTreeSize(text: string): number {
  const size = /^(0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  if (!(size <= TREE_SIZE_MAX)) {
    throw invalid(`expected a decimal number without leading zeroes, below 2^53, found ${JSON.stringify(text)}`);
  }
  return size;
}

function invalid(message: string): CoreError {
  return new CoreError('checkpoint-invalid', `checkpoint: ${message}`);
}
