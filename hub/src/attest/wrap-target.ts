// Wraps a model key for one device. For a TPM: an import blob that opens only in this TPM, in the boot state just proven and while the
// lease holds. For a secure element, a DICE device or a software root of trust: an HPKE ciphertext. Either opens for this use only.
import { type KeyObject, randomBytes } from 'node:crypto';
import { type LeaseTerms, policyLeaseTerms } from '@edgekeep/core/access/lease-terms';
import { HYBRID_PSK_LENGTH, sealHybridLayer } from '@edgekeep/core/access/hybrid-wrap';
import {
  boundSecret,
  boundWrapType,
  encodeWrapContext,
  hybridWrapType,
  type WrapContext,
  type WrapType,
} from '@edgekeep/core/access/wrap-context';
import { type HybridLayer, wrappedKeyHpkeInfo, type WrappedKey } from '@edgekeep/core/access/wrapped-key';
import type { XwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import type { EndorsementKeyKind } from '@edgekeep/core/tpm/template';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { parseBase64url, parseHex, toBase64url, utf8 } from '@edgekeep/core/bytes';
import { hpkeSeal } from '@edgekeep/core/identity/hpke';
import { parseP256Point } from '@edgekeep/core/identity/p256-point';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { emptyPolicy, policyAuthValue, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';

/** The key that a model key can be wrapped under, read from the root of trust's description at enrollment. */
export type WrapTarget =
  | { readonly kind: 'tpm'; readonly parent: TpmPublic; readonly parentKind: EndorsementKeyKind }
  | { readonly kind: 'hpke'; readonly recipient: KeyObject }
  /** The key is in the evidence: it depends on the firmware that runs. */
  | { readonly kind: 'dice' };

export function wrapTargetOf(identity: DeviceIdentity): WrapTarget {
  if (identity.kind === 'dice') return { kind: 'dice' };
  if (identity.kind !== 'tpm') {
    const recipient = parseP256Point(parseBase64url(identity.encryptionKey, 'encryptionKey'));
    return { kind: 'hpke', recipient };
  }
  const parent = parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey'));
  return { kind: 'tpm', parent, parentKind: identity.endorsementKeyKind };
}

/** What a wrap takes from the evidence: the boot state for a TPM, the sealing key of a DICE device. */
type WrapFacts = Pick<Appraisal, 'pcrSelection' | 'pcrDigest' | 'dice'>;

/** What a wrapped key is for; `lease-id` is the form of the version before, in which an import blob is for every lease. */
export type WrapUse =
  | { readonly form: 'bound'; readonly context: WrapContext }
  /** As `bound`, with a second layer for this hybrid key. */
  | { readonly form: 'hybrid'; readonly context: WrapContext; readonly hybridKey: Uint8Array | XwingPublicKey }
  | { readonly form: 'lease-id'; readonly leaseId: string };

/** The members of both kinds: what the wrap is, and its second layer. */
interface WrapHead {
  readonly type?: WrapType;
  readonly hybrid?: HybridLayer;
}

/** `terms` apply to a TPM; without them only the agent ends the lease. */
export function wrapForDevice(
  modelKey: Uint8Array,
  target: WrapTarget,
  appraisal: WrapFacts,
  use: WrapUse,
  terms?: LeaseTerms,
): WrappedKey {
  if (use.form === 'hybrid') return wrapInTwoLayers(modelKey, target, appraisal, use, terms);
  const head: WrapHead = use.form === 'bound' ? { type: boundWrapType } : {};
  return wrapOnce(modelKey, target, appraisal, use, { head, terms });
}

/** The device's root of trust gets a random secret, and the model key is under that secret and the hybrid key together. */
function wrapInTwoLayers(
  modelKey: Uint8Array,
  target: WrapTarget,
  appraisal: WrapFacts,
  { context, hybridKey: recipientPublicKey }: Extract<WrapUse, { form: 'hybrid' }>,
  terms: LeaseTerms | undefined,
): WrappedKey {
  const psk = randomBytes(HYBRID_PSK_LENGTH);
  try {
    const hybrid = sealHybridLayer({ recipientPublicKey, modelKey, psk, context });
    const head: WrapHead = { type: hybridWrapType, hybrid };
    return wrapOnce(psk, target, appraisal, { form: 'bound', context }, { head, terms });
  } finally {
    psk.fill(0);
  }
}

function wrapOnce(
  secret: Uint8Array,
  target: WrapTarget,
  appraisal: WrapFacts,
  use: Exclude<WrapUse, { form: 'hybrid' }>,
  { head, terms }: { readonly head: WrapHead; readonly terms: LeaseTerms | undefined },
): WrappedKey {
  if (target.kind !== 'tpm') {
    const context =
      use.form === 'bound'
        ? { info: encodeWrapContext(use.context, head.type), aad: new Uint8Array(0) }
        : { info: utf8(wrappedKeyHpkeInfo), aad: utf8(use.leaseId) };
    const sealed = hpkeSeal({
      recipientPublicKey: target.kind === 'hpke' ? target.recipient : sealingKeyIn(appraisal),
      ...context,
      plaintext: secret,
    });
    return {
      ...head,
      kind: 'hpke',
      encapsulatedKey: toBase64url(sealed.encapsulatedKey),
      ciphertext: toBase64url(sealed.ciphertext),
    };
  }
  const pcrs = [...appraisal.pcrSelection];
  const byPcr = policyPcr(emptyPolicy(), [{ bank: 'sha256', pcrs }], parseHex(appraisal.pcrDigest, 'pcrDigest'));
  // An attacker on the bus between processor and TPM sees the blob but not this value.
  const authValue = randomBytes(32);
  const byBoot = policyAuthValue(byPcr);
  const policyDigest = terms === undefined ? byBoot : policyLeaseTerms(byBoot, terms);
  const sealed = use.form === 'bound' ? boundSecret(secret, use.context, head.type) : Uint8Array.from(secret);
  const blob = makeImportBlob({
    parentPublic: target.parent,
    secret: sealed,
    policyDigest,
    authValue,
    randomBytes,
  });
  sealed.fill(0);
  return {
    ...head,
    kind: 'tpm-import',
    publicArea: toBase64url(blob.publicArea),
    duplicate: toBase64url(blob.duplicate),
    encryptedSeed: toBase64url(blob.encryptedSeed),
    pcrs,
    parent: target.parentKind,
    authValue: toBase64url(authValue),
    ...(terms === undefined ? {} : { terms }),
  };
}

function sealingKeyIn({ dice }: Pick<Appraisal, 'dice'>): KeyObject {
  if (dice === undefined) throw new TypeError('the evidence was not made by this DICE device: no key');
  return parseP256Point(dice.sealingKey);
}
