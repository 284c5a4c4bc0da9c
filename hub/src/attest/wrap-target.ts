// Wraps a model key for one device. For a TPM: an import blob that opens only in this TPM, in the boot state just proven and while the
// lease holds. For a secure element, a DICE device or a software root of trust: an HPKE ciphertext. Either opens for this use only.
import { type KeyObject, randomBytes } from 'node:crypto';
import { type LeaseTerms, policyLeaseTerms } from '@edgekeep/core/access/lease-terms';
import { boundSecret, boundWrapType, encodeWrapContext, type WrapContext } from '@edgekeep/core/access/wrap-context';
import { wrappedKeyHpkeInfo, type WrappedKey } from '@edgekeep/core/access/wrapped-key';
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

/** What a wrapped key is for; `lease-id` is the form of the version before, in which an import blob is for every lease. */
export type WrapUse =
  | { readonly form: 'bound'; readonly context: WrapContext }
  | { readonly form: 'lease-id'; readonly leaseId: string };

/** `terms` apply to a TPM; without them only the agent ends the lease. */
export function wrapForDevice(
  modelKey: Uint8Array,
  target: WrapTarget,
  appraisal: Pick<Appraisal, 'pcrSelection' | 'pcrDigest' | 'dice'>,
  use: WrapUse,
  terms?: LeaseTerms,
): WrappedKey {
  const type = use.form === 'bound' ? ({ type: boundWrapType } as const) : {};
  if (target.kind !== 'tpm') {
    const context =
      use.form === 'bound'
        ? { info: encodeWrapContext(use.context), aad: new Uint8Array(0) }
        : { info: utf8(wrappedKeyHpkeInfo), aad: utf8(use.leaseId) };
    const sealed = hpkeSeal({
      recipientPublicKey: target.kind === 'hpke' ? target.recipient : sealingKeyIn(appraisal),
      ...context,
      plaintext: modelKey,
    });
    return {
      ...type,
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
  const secret = use.form === 'bound' ? boundSecret(modelKey, use.context) : Uint8Array.from(modelKey);
  const blob = makeImportBlob({ parentPublic: target.parent, secret, policyDigest, authValue, randomBytes });
  secret.fill(0);
  return {
    ...type,
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
