// A witness's timestamped signature on a checkpoint: c2sp.org/tlog-cosignature, Ed25519, signature type 0x04; and the second one, by ML-DSA-44,
// of a witness that has such a key.
import { verify } from 'node:crypto';
import { ByteReader, ByteWriter, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseCheckpoint } from './checkpoint.ts';
import {
  type NoteSignature,
  type NoteSigner,
  signaturesBy,
  type SignedNote,
  type VerifierKey,
  verifierKey,
} from './note.ts';
import { cosignTree, treeCosignedAt } from './subtree-cosignature.ts';

/** One witness's statement: at `seconds` (POSIX), this was the largest consistent tree that it had seen of this log. */
export interface Cosignature {
  readonly witness: string;
  /** Of its key: two witnesses may have one name. */
  readonly keyId: string;
  readonly seconds: number;
}

const signatureLength = 8 + 64;

/**
 * Cosigns a checkpoint's text: one line, or two of a witness with two keys. Only a checkpoint that was found consistent with the last one seen
 * may be cosigned: see follower.ts.
 */
export async function cosign(
  checkpointText: string,
  seconds: number,
  { name, signer, postQuantum }: NoteSigner,
): Promise<readonly NoteSignature[]> {
  if (!Number.isSafeInteger(seconds) || seconds < 0) {
    throw new CoreError('note-invalid', `expected POSIX seconds, found ${seconds}`);
  }
  const key = verifierKey(name, signer.publicKey, 'cosignature-v1');
  const signature = await signer.sign(cosignedMessage(checkpointText, seconds));
  const timestamped = new ByteWriter().u64(BigInt(seconds)).bytes(signature).finish();
  const line = { name: key.name, keyId: key.id, signature: timestamped };
  if (postQuantum === undefined) return [line];
  return [line, await cosignTree(parseCheckpoint(checkpointText), seconds, { name, signer: postQuantum })];
}

/**
 * The cosignature of a witness on a note: undefined when the note carries none by its key, false when one under its name and key id does
 * not verify. Of several valid ones the latest counts. A witness with two keys has cosigned at the times that both say.
 */
export function cosignatureBy(note: SignedNote, key: VerifierKey): Cosignature | undefined | false {
  if (key.type !== 'cosignature-v1') return undefined;
  const classical = signaturesBy(note, key).map(({ signature }) => verifiedTime(note.text, signature, key));
  const times = classical.filter((time) => time !== undefined);
  if (times.length < classical.length) return false;
  if (times.length === 0 || key.postQuantum === undefined) return latestOf(times, key);
  const others = treeCosignedAt(note, parseCheckpoint(note.text), key.postQuantum);
  if (others === false) return false;
  const both = new Set(others);
  return latestOf(
    times.filter((time) => both.has(time)),
    key,
  );
}

/** The lines of a note by the keys of this witness. */
export function linesBy(note: SignedNote, key: VerifierKey): readonly NoteSignature[] {
  const others = key.postQuantum === undefined ? [] : signaturesBy(note, key.postQuantum);
  return [...signaturesBy(note, key), ...others];
}

function latestOf(times: readonly number[], { name, id }: VerifierKey): Cosignature | undefined {
  return times.length === 0 ? undefined : { witness: name, keyId: id, seconds: Math.max(...times) };
}

function verifiedTime(text: string, timestamped: Uint8Array, key: VerifierKey): number | undefined {
  if (timestamped.length !== signatureLength) return undefined;
  const reader = new ByteReader(timestamped, 'cosignature');
  const seconds = Number(reader.u64());
  // The format ends at 2^63 - 1; a time that a number cannot hold exactly cannot be a witness's time.
  if (!Number.isSafeInteger(seconds)) return undefined;
  return verify(null, cosignedMessage(text, seconds), key.publicKey, reader.bytes(64)) ? seconds : undefined;
}

function cosignedMessage(checkpointText: string, seconds: number): Uint8Array {
  return utf8(`cosignature/v1\ntime ${seconds}\n${checkpointText}`);
}
