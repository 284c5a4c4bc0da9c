// The request that asks a witness for its cosignature: c2sp.org/tlog-witness, body of add-checkpoint.
import { parseUtf8, toBase64, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseTreeSize } from './checkpoint.ts';
import { PROOF_HASHES_MAX } from './merkle.ts';
import { NOTE_BYTES_MAX } from './note.ts';
import { parseProofHash } from './proof.ts';

export interface AddCheckpoint {
  /** The size of the last checkpoint the witness cosigned, as the log knows it; 0 for none. */
  readonly oldSize: number;
  /** Consistency proof from the old size; empty from size 0 or to the same size. */
  readonly proof: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: Uint8Array;
}

const BYTES_MAX = NOTE_BYTES_MAX + 4096;

export function encodeAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): Uint8Array {
  const lines = [`old ${oldSize}`, ...proof.map(toBase64)];
  return utf8(`${lines.join('\n')}\n\n${parseUtf8(checkpoint, 'checkpoint')}`);
}

/** Reads a request strictly; the checkpoint in it is not read yet. Malformed bytes throw `proof-invalid` or another code of core. */
export function parseAddCheckpoint(bytes: Uint8Array): AddCheckpoint {
  if (bytes.length > BYTES_MAX) throw invalid(`${bytes.length} bytes, at most ${BYTES_MAX} are read`);
  const text = parseUtf8(bytes, 'add-checkpoint request');
  const blank = text.indexOf('\n\n');
  const [old, ...proof] = text.slice(0, Math.max(blank, 0)).split('\n');
  if (old === undefined || !old.startsWith('old '))
    throw invalid('expected an old size line, proof lines, a blank line');
  if (proof.length > PROOF_HASHES_MAX)
    throw invalid(`${proof.length} proof lines, at most ${PROOF_HASHES_MAX} are read`);
  return {
    oldSize: parseTreeSize(old.slice('old '.length)),
    proof: proof.map(parseProofHash),
    checkpoint: utf8(text.slice(blank + 2)),
  };
}

function invalid(message: string): CoreError {
  return new CoreError('proof-invalid', `add-checkpoint request: ${message}`);
}
