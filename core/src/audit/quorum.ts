// The trusted witnesses, and how many of them must have cosigned a checkpoint before it counts.
import { CoreError } from '../error.ts';
import { type Cosignature, cosignatureBy } from './cosignature.ts';
import type { SignedNote, VerifierKey } from './note.ts';
import { toHex } from '../bytes.ts';
import { encodeSpki } from '../identity/public-key.ts';

export interface WitnessPolicy {
  readonly witnesses: readonly VerifierKey[];
  /** How many different witnesses must have cosigned; 0 asks for none. */
  readonly quorum: number;
}

/** There may be more witnesses than a checkpoint can carry signatures: any of them may be among the signers. */
export const POLICY_WITNESSES_MAX = 100_000;

export type QuorumVerdict =
  | { readonly kind: 'met'; readonly cosignatures: readonly Cosignature[] }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** A policy that can be met: cosigner keys only, no public key twice (one witness must not count as two), quorum not above their number. */
export function witnessPolicy(witnesses: readonly VerifierKey[], quorum: number): WitnessPolicy {
  if (witnesses.length > POLICY_WITNESSES_MAX) {
    throw new CoreError('key-invalid', `${witnesses.length} witnesses, at most ${POLICY_WITNESSES_MAX} are read`);
  }
  const wrongType = witnesses.find(({ type }) => type !== 'cosignature-v1');
  if (wrongType !== undefined) {
    throw new CoreError('key-invalid', `${wrongType.name}: a witness has a key of type 0x04 (cosignature)`);
  }
  const seen = new Map<string, VerifierKey>();
  for (const key of witnesses.flatMap((each) => (each.postQuantum === undefined ? [each] : [each, each.postQuantum]))) {
    const fingerprint = toHex(encodeSpki(key.publicKey));
    const twin = seen.get(fingerprint);
    if (twin !== undefined) throw new CoreError('key-invalid', `${twin.name} and ${key.name} are one public key`);
    seen.set(fingerprint, key);
  }
  if (!Number.isSafeInteger(quorum) || quorum < 0 || quorum > witnesses.length) {
    throw new CoreError('key-invalid', `a quorum of ${quorum} cannot be met by ${witnesses.length} witnesses`);
  }
  return { witnesses, quorum };
}

/** Whether enough witnesses cosigned the note. A false line by a known witness invalidates the whole note, as signed-note advises. */
export function verifyQuorum(note: SignedNote, { witnesses, quorum }: WitnessPolicy): QuorumVerdict {
  const signers = new Set(note.signatures.map(({ name, keyId }) => `${name}+${keyId}`));
  const cosignatures: Cosignature[] = [];
  for (const witness of witnesses) {
    if (!signers.has(`${witness.name}+${witness.id}`)) continue;
    const found = cosignatureBy(note, witness);
    if (found === false) return { kind: 'refused', reasons: [`the cosignature by ${witness.name} is false`] };
    if (found !== undefined) cosignatures.push(found);
  }
  return cosignatures.length >= quorum
    ? { kind: 'met', cosignatures }
    : {
        kind: 'refused',
        reasons: [
          `${cosignatures.length} of ${quorum} required witnesses have cosigned: devices cosign at their check-ins, so fetch it again later`,
        ],
      };
}
