// A witness's timestamped signature on a checkpoint: c2sp.org/tlog-cosignature, Ed25519, signature type 0x04.
import { verify } from 'node:crypto';
import { ByteReader, ByteWriter, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import {
  type NoteSignature,
  type NoteSigner,
  signaturesBy,
  type SignedNote,
  type VerifierKey,
  verifierKey,
} from './note.ts';

/** One witness's statement: at `seconds` (POSIX), this was the largest consistent tree that it had seen of this log. */
export interface Cosignature {
  readonly witness: string;
  readonly seconds: number;
}

const signatureLength = 8 + 64;

/** Cosigns a checkpoint's text. Only a checkpoint that was found consistent with the last one seen may be cosigned: see follower.ts. */
export async function cosign(checkpointText: string, seconds: number, witness: NoteSigner): Promise<NoteSignature> {
  if (!Number.isSafeInteger(seconds) || seconds < 0) {
    throw new CoreError('note-invalid', `expected POSIX seconds, found ${seconds}`);
  }
  const key = verifierKey(witness.name, witness.signer.publicKey, 'cosignature-v1');
  const signature = await witness.signer.sign(cosignedMessage(checkpointText, seconds));
  const timestamped = new ByteWriter().u64(BigInt(seconds)).bytes(signature).finish();
  return { name: key.name, keyId: key.id, signature: timestamped };
}

/**
 * The cosignature of a witness on a note: undefined when the note carries none by its key, false when one under its name and key id does
 * not verify. Of several valid ones the latest counts.
 */
export function cosignatureBy(note: SignedNote, key: VerifierKey): Cosignature | undefined | false {
  if (key.type !== 'cosignature-v1') return undefined;
  let latest: Cosignature | undefined;
  for (const line of signaturesBy(note, key)) {
    const seconds = verifiedTime(note.text, line.signature, key);
    if (seconds === undefined) return false;
    if (latest === undefined || seconds > latest.seconds) latest = { witness: key.name, seconds };
  }
  return latest;
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
