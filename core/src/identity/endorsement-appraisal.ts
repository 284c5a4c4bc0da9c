// Whether an endorsement certificate is accepted for enrollment (spec/vendor-roots.md, "Judging"): it parses, has a path to a trusted maker
// at the time that the operator chose, and certifies exactly the presented key. The hub asks at enrollment and `edgekeep doctor` asks on
// the machine: one function, one answer.
import type { KeyObject } from 'node:crypto';
import { CoreError } from '../error.ts';
import { type Certificate, parseForeignCertificate, publicKeyOf } from './certificate.ts';
import type { Certificates } from './certificate-index.ts';
import { type EndorsementTime, type TpmIdentity, validateEndorsement } from './endorsement.ts';

export interface EndorsementOrder {
  /** DER: the certificate of the endorsement key first, then the part of the path that the TPM stores. */
  readonly certificates: readonly Uint8Array[];
  readonly anchors: Certificates;
  /** The operator's certificates between anchors and devices. */
  readonly intermediates: Certificates;
  readonly judgedAt: EndorsementTime;
  readonly nowSeconds: number;
  /** The key that the device presents; left out when there is none to compare. */
  readonly key?: KeyObject | undefined;
}

export interface EndorsementReason {
  readonly code:
    | 'endorsement-certificate-missing'
    | 'endorsement-unreadable'
    | 'endorsement-refused'
    | 'endorsement-key-differs';
  readonly message: string;
}

export type EndorsementAppraisal =
  | {
      readonly kind: 'valid';
      /** Leaf first, anchor last. */
      readonly chain: readonly Certificate[];
      readonly tpm: TpmIdentity;
      readonly judgedAtSeconds: number;
      /** What an operator should know although the answer is yes: certificates that have ended since. */
      readonly notes: readonly string[];
    }
  | { readonly kind: 'refused'; readonly reasons: readonly EndorsementReason[] };

export function appraiseEndorsement(input: EndorsementOrder): EndorsementAppraisal {
  const unreadable: EndorsementReason[] = [];
  const [leaf, ...sent] = input.certificates.flatMap((der, at) => parsedOr(der, at, unreadable));
  if (unreadable.length > 0) return { kind: 'refused', reasons: unreadable };
  if (leaf === undefined)
    return refused('endorsement-certificate-missing', 'the TPM has no certificate for its endorsement key');
  const { judgedAt, nowSeconds, anchors, intermediates, key } = input;
  const path = { leaf, intermediates: sent, known: intermediates, anchors, atSeconds: nowSeconds };
  const verdict = validateEndorsement({ ...path, judgedAt });
  if (verdict.kind === 'refused')
    return { kind: 'refused', reasons: verdict.reasons.map((message) => ({ code: 'endorsement-refused', message })) };
  if (key !== undefined && !key.equals(publicKeyOf(leaf)))
    return refused(
      'endorsement-key-differs',
      'the endorsement certificate is of another key than the one the TPM shows',
    );
  return verdict;
}

/** Whether the certificate can be read and is of another key; what cannot be read is refused elsewhere. */
export function isOfAnotherKey(certificate: Uint8Array, key: KeyObject): boolean {
  try {
    return !key.equals(publicKeyOf(parseForeignCertificate(certificate, 'the endorsement certificate')));
  } catch (error) {
    if (error instanceof CoreError) return false;
    throw error;
  }
}

function parsedOr(der: Uint8Array, at: number, unreadable: EndorsementReason[]): readonly Certificate[] {
  try {
    return [
      parseForeignCertificate(
        der,
        at === 0 ? 'the endorsement certificate' : `certificate ${at + 1} of the TPM’s chain`,
      ),
    ];
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
    unreadable.push({ code: 'endorsement-unreadable', message: error.message });
    return [];
  }
}

function refused(code: EndorsementReason['code'], message: string): EndorsementAppraisal {
  return { kind: 'refused', reasons: [{ code, message }] };
}
