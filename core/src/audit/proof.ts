// An offline proof that an entry is in the log and that witnesses saw it: c2sp.org/tlog-proof@v1.
import { parseBase64, parseUtf8, toBase64, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type Checkpoint, openCheckpoint, parseTreeSize } from './checkpoint.ts';
import type { Cosignature } from './cosignature.ts';
import { hashLength, PROOF_HASHES_MAX, verifyInclusion } from './merkle.ts';
import { NOTE_BYTES_MAX, type VerifierKey } from './note.ts';
import { verifyQuorum, type WitnessPolicy } from './quorum.ts';

export interface TlogProof {
  /** Opaque and not authenticated; ours carries none. */
  readonly extra?: Uint8Array;
  readonly index: number;
  readonly hashes: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: Uint8Array;
}

const firstLine = 'c2sp.org/tlog-proof@v1';
const PROOF_BYTES_MAX = NOTE_BYTES_MAX + 65_536;

export type ProofVerdict =
  | {
      readonly kind: 'verified';
      readonly checkpoint: Checkpoint;
      readonly index: number;
      readonly cosignatures: readonly Cosignature[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Whether the log of `logKey` contains an entry with this leaf hash, under a checkpoint that meets the policy. Malformed proofs throw. */
export function verifyTlogProof(
  proof: TlogProof,
  leafHash: Uint8Array,
  logKey: VerifierKey,
  policy: WitnessPolicy,
): ProofVerdict {
  const opened = openCheckpoint(proof.checkpoint, logKey);
  if (opened.kind === 'refused') return opened;
  const quorum = verifyQuorum(opened.note, policy);
  if (quorum.kind === 'refused') return quorum;
  const { size, root } = opened.checkpoint;
  if (proof.index >= size) {
    return { kind: 'refused', reasons: [`entry ${proof.index} is beyond the checkpoint's ${size} entries`] };
  }
  if (!verifyInclusion({ leafHash, index: proof.index, size, root, proof: proof.hashes })) {
    return { kind: 'refused', reasons: [`the inclusion proof does not lead from entry ${proof.index} to the root`] };
  }
  return {
    kind: 'verified',
    checkpoint: opened.checkpoint,
    index: proof.index,
    cosignatures: quorum.cosignatures,
  };
}

export function parseTlogProof(bytes: Uint8Array): TlogProof {
  if (bytes.length > PROOF_BYTES_MAX) throw invalid(`${bytes.length} bytes, at most ${PROOF_BYTES_MAX} are read`);
  const text = parseUtf8(bytes, 'tlog proof');
  const blank = text.indexOf('\n\n');
  if (blank === -1) throw invalid('expected a blank line before the checkpoint');
  const [first, ...lines] = text.slice(0, blank).split('\n');
  if (first !== firstLine) throw invalid(`expected the first line ${firstLine}`);
  const extra = lines[0]?.startsWith('extra ') === true ? lines.shift() : undefined;
  const indexLine = lines.shift();
  if (indexLine === undefined || !indexLine.startsWith('index ')) throw invalid('expected an index line');
  if (lines.length > PROOF_HASHES_MAX)
    throw invalid(`${lines.length} hashes, at most ${PROOF_HASHES_MAX} are possible`);
  return {
    ...(extra === undefined ? {} : { extra: parseBase64(extra.slice('extra '.length), 'extra data') }),
    index: parseTreeSize(indexLine.slice('index '.length)),
    hashes: lines.map(parseProofHash),
    checkpoint: utf8(text.slice(blank + 2)),
  };
}

export function encodeTlogProof({ extra, index, hashes, checkpoint }: TlogProof): Uint8Array {
  const lines = [
    firstLine,
    ...(extra === undefined ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...hashes.map(toBase64),
  ];
  return utf8(`${lines.join('\n')}\n\n${parseUtf8(checkpoint, 'checkpoint')}`);
}

/** One base64 line of a proof; `proof-invalid` unless it is a SHA-256 hash. */
export function parseProofHash(line: string): Uint8Array {
  const hash = parseBase64(line, 'proof hash');
  if (hash.length !== hashLength) throw invalid(`a hash of ${hash.length} bytes, expected ${hashLength}`);
  return hash;
}

function invalid(message: string): CoreError {
  return new CoreError('proof-invalid', `tlog proof: ${message}`);
}
