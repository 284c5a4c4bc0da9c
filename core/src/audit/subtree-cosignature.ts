// Cosignatures by ML-DSA-44: c2sp.org/tlog-cosignature, signature type 0x06. The signed message names the cosigner and the log. A log signs its
// own checkpoints in this form beside its Ed25519 signature, with time 0: it says nothing about when.
import { ByteReader, ByteWriter, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { type MlDsaSigner, mlDsaSignatureLength, verifyMlDsa } from '../post-quantum/ml-dsa.ts';
import { type NoteSignature, signaturesBy, type SignedNote, type VerifierKey, verifierKey } from './note.ts';

/** What a cosignature is about: the first `size` entries of the log `origin`. */
export interface CosignedTree {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

const kind = 'ml-dsa-44';
const label = utf8('subtree/v1\n\0');
const NAME_BYTES_MAX = 255;

/** The signature line of this cosigner. */
export async function cosignTree(
  tree: CosignedTree,
  seconds: number,
  { name, signer }: { readonly name: string; readonly signer: MlDsaSigner },
): Promise<NoteSignature> {
  const key = verifierKey(name, signer.publicKey, 'cosignature-ml-dsa-44');
  const signature = await signer.sign(signedMessage(name, seconds, tree));
  return { name, keyId: key.id, signature: new ByteWriter().u64(BigInt(seconds)).bytes(signature).finish() };
}

/**
 * The times of this key's cosignatures on the note, POSIX seconds; empty when it has none, false when one of them is not over this tree. `key`
 * is of type 0x06.
 */
export function treeCosignedAt(note: SignedNote, tree: CosignedTree, key: VerifierKey): readonly number[] | false {
  const times = signaturesBy(note, key).map(({ signature }) => verifiedTime(signature, tree, key));
  const known = times.filter((time) => time !== undefined);
  return known.length === times.length ? known : false;
}

function verifiedTime(timestamped: Uint8Array, tree: CosignedTree, { name, publicKey }: VerifierKey) {
  if (timestamped.length !== 8 + mlDsaSignatureLength(kind)) return undefined;
  const reader = new ByteReader(timestamped, 'cosignature');
  const seconds = Number(reader.u64());
  if (!Number.isSafeInteger(seconds)) return undefined;
  const signature = reader.bytes(mlDsaSignatureLength(kind));
  return verifyMlDsa(kind, publicKey, signedMessage(name, seconds, tree), signature) ? seconds : undefined;
}

// tlog-cosignature, "ML-DSA-44 signed message"; a checkpoint begins at entry 0.
function signedMessage(cosigner: string, seconds: number, { origin, size, root }: CosignedTree): Uint8Array {
  const writer = new ByteWriter().bytes(label);
  opaque(writer, cosigner).u64(BigInt(seconds));
  return opaque(writer, origin).u64(0n).u64(BigInt(size)).bytes(root).finish();
}

function opaque(writer: ByteWriter, text: string): ByteWriter {
  const bytes = utf8(text);
  if (bytes.length === 0 || bytes.length > NAME_BYTES_MAX) {
    throw new CoreError('note-invalid', `a name of ${bytes.length} bytes in a cosignature, at most ${NAME_BYTES_MAX}`);
  }
  return writer.u8(bytes.length).bytes(bytes);
}
