// Which endorsement key identifies this device (spec/agent.md, "The TPM of a device"): the one of its settings; else the one with which it enrolled;
// else the strongest that the TPM's maker certified. A hub that expects another one of this TPM, because an import or a manifest names it, gets that.
import type { EndorsementKeyKind } from '@edgekeep/core/tpm/template';
import type { Answer } from '../hub-api.ts';

/** The part of a TPM that this needs. */
export interface CertifiedTpm {
  certifiedKinds(): Promise<readonly EndorsementKeyKind[]>;
  useEndorsementKey(kind: EndorsementKeyKind): Promise<void>;
}

export interface EndorsementChoice {
  /** The one that is used now. */
  readonly kind: EndorsementKeyKind;
  /** Others with a certificate, in the order in which a hub that refuses the first is asked; none where the settings or an enrollment say which. */
  readonly others: readonly EndorsementKeyKind[];
}

/** Agents before there was a choice used it. */
const formerDefault: EndorsementKeyKind = 'rsa-2048';

/** `enrolledWith` is what was kept at the enrollment; `isEnrolled` also where an agent of before kept nothing. Sets it in the TPM. */
export async function chooseEndorsementKey(
  tpm: CertifiedTpm,
  {
    wanted,
    enrolledWith,
    isEnrolled,
  }: {
    readonly wanted: EndorsementKeyKind | 'preferred';
    readonly enrolledWith: EndorsementKeyKind | undefined;
    readonly isEnrolled: boolean;
  },
): Promise<EndorsementChoice> {
  const fixed = wanted === 'preferred' ? (enrolledWith ?? (isEnrolled ? formerDefault : undefined)) : wanted;
  const [first = formerDefault, ...others] = fixed === undefined ? await tpm.certifiedKinds() : [fixed];
  await tpm.useEndorsementKey(first);
  return { kind: first, others };
}

/** Tries an enrollment by each key in turn, until one is not refused. The first refusal is the answer where none is. */
export async function enrollByAnyKey<T>(
  tpm: Pick<CertifiedTpm, 'useEndorsementKey'>,
  { kind, others }: EndorsementChoice,
  attempt: () => Promise<Answer<T>>,
): Promise<Answer<T>> {
  const first = await attempt();
  if (!isRefused(first)) return first;
  for (const other of others) {
    await tpm.useEndorsementKey(other);
    const answer = await attempt();
    if (!isRefused(answer)) return answer;
  }
  await tpm.useEndorsementKey(kind);
  return first;
}

function isRefused(answer: Answer<unknown>): boolean {
  return answer.kind === 'refused' && answer.code === 'enrollment-refused';
}
