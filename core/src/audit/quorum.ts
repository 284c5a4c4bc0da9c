// The trusted witnesses, and which of them must have cosigned a checkpoint before it counts: a number of them, or a rule of groups.
import { counted } from '../counted.ts';
import { CoreError } from '../error.ts';
import { type Cosignature, cosignatureBy } from './cosignature.ts';
import type { SignedNote, VerifierKey } from './note.ts';
import { toHex } from '../bytes.ts';
import { encodeSpki } from '../identity/public-key.ts';
import { fewestOf, isEnough, type PolicyWitness, type QuorumRule } from './tlog-policy.ts';

export interface WitnessPolicy {
  readonly witnesses: readonly VerifierKey[];
  /** How many different witnesses must have cosigned; 0 asks for none. With a rule: how many it needs at least. */
  readonly quorum: number;
  readonly rule?: WitnessRule | undefined;
  /** Of a trust file of version 1: the receiver of a key counts as a witness of its own receipt, as it did when the file was made. */
  readonly countsReceiver?: true | undefined;
}

export interface WitnessRule {
  readonly quorum: QuorumRule | 'none';
  /** The name that the rule has for a witness, by `keyOf`. */
  readonly names: ReadonlyMap<string, string>;
  /** Unix seconds from which a witness counts no more, by its name: it was retired, wiped or quarantined. */
  readonly endedSeconds: ReadonlyMap<string, number>;
  /** Set when the fleet cannot meet what is asked for: then nothing does. */
  readonly unreachable?: Unreachable | undefined;
}

export interface Unreachable {
  readonly required: number;
  readonly available: number;
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

/** A policy of groups, from a policy file. */
export function groupedPolicy(
  witnesses: readonly PolicyWitness[],
  quorum: QuorumRule | 'none',
  more: Pick<WitnessRule, 'endedSeconds' | 'unreachable'> = { endedSeconds: new Map() },
): WitnessPolicy {
  if (witnesses.length > POLICY_WITNESSES_MAX) {
    throw new CoreError('key-invalid', `${witnesses.length} witnesses, at most ${POLICY_WITNESSES_MAX} are read`);
  }
  const names = new Map(witnesses.map(({ name, key }) => [keyOf(key), name]));
  const needed = more.unreachable?.required ?? fewestOf(quorum);
  return { witnesses: witnesses.map(({ key }) => key), quorum: needed, rule: { quorum, names, ...more } };
}

/** The policy for what this device received: the receiver of a key is no witness of its own receipt. */
export function withoutReceiver(policy: WitnessPolicy, deviceId: string): WitnessPolicy {
  if (policy.countsReceiver === true) return policy;
  const own = `device/${deviceId}`;
  // `device/ID/N` is a former identity of the device. A policy may name the key anything: the key's own name counts too.
  const isReceiver = (key: VerifierKey) =>
    [policy.rule?.names.get(keyOf(key)) ?? '', key.name].some(
      (name) => name === own || name.startsWith(`${own}/`) || name.endsWith(`/${own}`),
    );
  return { ...policy, witnesses: policy.witnesses.filter((key) => !isReceiver(key)) };
}

/** Whether these cosignatures are enough. Each is by another witness of the policy. */
export function meetsPolicy({ quorum, rule }: WitnessPolicy, cosignatures: readonly Cosignature[]): boolean {
  if (rule === undefined) return cosignatures.length >= quorum;
  if (quorum === 0) return true;
  if (rule.unreachable !== undefined) return false;
  return isEnough(rule.quorum, new Set(cosignatures.map((each) => rule.names.get(signerOf(each)) ?? '')));
}

/** How many witnesses made these: a device is one with all the keys that it has and had (`device/ID`, `device/ID/…`). */
export function witnessesOf({ rule }: Pick<WitnessPolicy, 'rule'>, cosignatures: readonly Cosignature[]): number {
  const names = cosignatures.map((each) => rule?.names.get(signerOf(each)) ?? each.witness);
  return new Set(names.map((name) => /^device\/[^/]+/.exec(name)?.[0] ?? name)).size;
}

/** Whether enough witnesses cosigned the note. A false line by a known witness invalidates the whole note, as signed-note advises. */
export function verifyQuorum(note: SignedNote, policy: WitnessPolicy): QuorumVerdict {
  const { witnesses, quorum, rule } = policy;
  const signers = new Set(note.signatures.map(({ name, keyId }) => `${name}+${keyId}`));
  const cosignatures: Cosignature[] = [];
  for (const witness of witnesses) {
    if (!signers.has(keyOf(witness))) continue;
    const found = cosignatureBy(note, witness);
    if (found === false) return { kind: 'refused', reasons: [`the cosignature by ${witness.name} is false`] };
    const endedSeconds = rule?.endedSeconds.get(rule.names.get(keyOf(witness)) ?? '') ?? Infinity;
    if (found !== undefined && found.seconds < endedSeconds) cosignatures.push(found);
  }
  if (meetsPolicy(policy, cosignatures)) return { kind: 'met', cosignatures };
  return { kind: 'refused', reasons: [shortfall(cosignatures.length, quorum, rule)] };
}

function shortfall(found: number, quorum: number, rule: WitnessRule | undefined): string {
  if (rule?.unreachable !== undefined) {
    const { required, available } = rule.unreachable;
    return `the witness policy asks for ${counted(required, 'independent witness', 'independent witnesses')}, and the fleet has ${available}`;
  }
  const name = rule === undefined || rule.quorum === 'none' ? '' : `, in the groups of ${rule.quorum.name}`;
  return `${found} of ${quorum} required witnesses have cosigned${name}: devices cosign at their check-ins, so fetch it again later`;
}

function keyOf({ name, id }: VerifierKey): string {
  return `${name}+${id}`;
}

function signerOf({ witness, keyId }: Cosignature): string {
  return `${witness}+${keyId}`;
}
