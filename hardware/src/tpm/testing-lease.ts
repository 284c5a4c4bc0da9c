// For tests: a key leased to a TPM as a hub does it, for the boot, the clock and the counter value that this TPM has just signed.
import { randomBytes } from 'node:crypto';
import { verifyLeaseCounter } from '@edgekeep/core/access/lease-counter';
import { type LeaseTerms, policyLeaseTerms } from '@edgekeep/core/access/lease-terms';
import type { TpmWrappedKey } from '@edgekeep/core/access/wrapped-key';
import { attestationKeyOf } from '@edgekeep/core/attest/quote';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { pcrDigest } from '@edgekeep/core/tpm/pcr-selection';
import { emptyPolicy, policyAuthValue, policyPcr } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import type { TpmRootOfTrust } from './tpm-root-of-trust.ts';

export interface LeasedKey {
  readonly wrapped: TpmWrappedKey & { readonly terms: LeaseTerms; readonly authValue: string };
  readonly secret: Uint8Array;
}

const selection = { bank: 'sha256', pcrs: [0, 7] } as const;

export async function leaseKey(device: TpmRootOfTrust, milliseconds: bigint): Promise<LeasedKey> {
  const { endorsementKey, attestationPublic } = await device.describe();
  const qualifyingData = randomBytes(32);
  const signed = await device.attest(qualifyingData, selection);
  if (signed.kind !== 'tpm') throw new TypeError('expected a TPM');
  const { clockInfo: boot } = parseAttest(signed.quote);
  const key = attestationKeyOf(parsePublic(attestationPublic), 'endorsement');
  const counter = await device.certifyLeaseCounter(qualifyingData);
  const verdict = verifyLeaseCounter(counter, { key, qualifyingData, boot });
  if (verdict.kind === 'refused') throw new TypeError(verdict.reasons.map(({ message }) => message).join());
  const terms = {
    resetCount: boot.resetCount,
    restartCount: boot.restartCount,
    clockMost: `${boot.clock + milliseconds}`,
    counterMost: `${verdict.value}`,
  };
  const byPcr = policyPcr(emptyPolicy(), [selection], pcrDigest([...(await device.readPcrs(selection)).values()]));
  const [secret, authValue] = [randomBytes(32), randomBytes(32)];
  const policyDigest = policyLeaseTerms(policyAuthValue(byPcr), terms);
  const parentPublic = parsePublic(endorsementKey.publicArea);
  const blob = makeImportBlob({ parentPublic, secret, policyDigest, authValue, randomBytes });
  const wrapped = {
    kind: 'tpm-import' as const,
    publicArea: toBase64url(blob.publicArea),
    duplicate: toBase64url(blob.duplicate),
    encryptedSeed: toBase64url(blob.encryptedSeed),
    pcrs: [...selection.pcrs],
    authValue: toBase64url(authValue),
    terms,
  };
  return { wrapped, secret };
}

/** Opens the key; true when it is the one that was leased. */
export async function opensRight(device: TpmRootOfTrust, { wrapped, secret }: LeasedKey): Promise<boolean> {
  return toHex(await device.openKey(wrapped)) === toHex(secret);
}
