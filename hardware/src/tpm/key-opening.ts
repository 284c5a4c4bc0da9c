// Opens a model key inside the TPM: imports the blob under the endorsement key, loads it, proves the PCRs (and, where a key approved the
// policy, the approval) and that the lease is valid, and unseals. The response is encrypted, so a probe on the bus cannot read it.
import { leaseCounter } from '@edgekeep/core/access/lease-counter';
import { type LeaseTerms, type LeaseTermStep, leaseTermSteps } from '@edgekeep/core/access/lease-terms';
import type { TpmWrappedKey } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url } from '@edgekeep/core/bytes';
import { digest } from '@edgekeep/core/tpm/algorithm';
import { verifySignature } from '@edgekeep/core/tpm/commands/attestation';
import { importObject, load, loadExternal, unseal } from '@edgekeep/core/tpm/commands/object';
import {
  policyAuthorize,
  policyAuthValue,
  policyCounterTimer,
  policyGetDigest,
  policyNv,
  policyPcr,
} from '@edgekeep/core/tpm/commands/policy';
import { policyApprovalMessage } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { parseTpmSignature } from '@edgekeep/core/tpm/signature';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import type { TpmClient, TpmSession } from './client.ts';
import { type LoadedEndorsementKey, withEndorsementKey } from './endorsement.ts';

/**
 * Throws `tpm-blob-refused` when the blob is for another TPM or was altered, `tpm-lease-over` when the TPM finds that the lease has ended,
 * `tpm-policy-refused` when the PCRs or the approval do not match, or the terms differ from those in the blob.
 */
export async function openImportedKey(
  client: TpmClient,
  parent: LoadedEndorsementKey,
  wrapped: TpmWrappedKey,
): Promise<Uint8Array> {
  const publicArea = parseBase64url(wrapped.publicArea, 'wrapped key public area');
  const duplicate = parseBase64url(wrapped.duplicate, 'wrapped key duplicate');
  const encryptedSeed = parseBase64url(wrapped.encryptedSeed, 'wrapped key seed');
  const refusal = 'the key was made for another TPM, or its blob was altered';
  const loaded = await refusedAs('tpm-blob-refused', refusal, async () => {
    const imported = await withEndorsementKey(client, parent, (authorization) =>
      client.execute(importObject(parent.entity, publicArea, duplicate, encryptedSeed), [authorization]),
    );
    return withEndorsementKey(client, parent, (authorization) =>
      client.execute(load(parent.entity, imported, publicArea), [authorization]),
    );
  });
  try {
    return await unsealUnderPolicy(client, parent, loaded, wrapped);
  } finally {
    await client.flush(loaded.handle);
  }
}

async function unsealUnderPolicy(
  client: TpmClient,
  parent: LoadedEndorsementKey,
  item: { readonly handle: number; readonly name: Uint8Array },
  wrapped: TpmWrappedKey,
): Promise<Uint8Array> {
  const session = await client.startSession('policy', 'sha256', parent);
  try {
    await client.execute(policyPcr(session.handle, [{ bank: 'sha256', pcrs: wrapped.pcrs }]));
    if (wrapped.approval !== undefined) await showApproval(client, session, wrapped.approval);
    const authValue = authValueOf(wrapped);
    if (authValue !== undefined) await client.execute(policyAuthValue(session.handle));
    if (wrapped.terms !== undefined) await showTerms(client, session, wrapped.terms);
    const refusal = 'boot state or lease terms are not the ones the key was bound to';
    return await refusedAs('tpm-policy-refused', refusal, () => unsealCopy(client, item, session, authValue));
  } finally {
    await client.flush(session.handle);
  }
}

/** What a session whose policy is shown unseals; the response is encrypted, and its buffer is overwritten. The caller zeroes the copy. */
export async function unsealCopy(
  client: TpmClient,
  item: { readonly handle: number; readonly name: Uint8Array },
  session: TpmSession,
  authValue: Uint8Array | undefined,
): Promise<Uint8Array> {
  const secret = await client.execute(unseal(item), [{ session, encrypt: true, authValue }]);
  const copy = Uint8Array.from(secret);
  secret.fill(0);
  return copy;
}

function authValueOf({ authValue }: TpmWrappedKey): Uint8Array | undefined {
  return authValue === undefined ? undefined : parseBase64url(authValue, 'authorization value of the wrapped key');
}

/** PolicyAuthorize: the approving key signed the session's PolicyPCR, over the present values. */
async function showApproval(
  client: TpmClient,
  session: TpmSession,
  approval: NonNullable<TpmWrappedKey['approval']>,
): Promise<void> {
  const key = parsePublic(parseBase64url(approval.publicArea, 'approving key'));
  const policyRef = parseBase64url(approval.policyRef, 'policy reference');
  const signature = parseTpmSignature(parseBase64url(approval.signature, 'policy approval'));
  const policy = await client.execute(policyGetDigest(session.handle));
  const loaded = await client.execute(loadExternal(key, 'owner'));
  try {
    await refusedAs('tpm-policy-refused', 'no approval for the present boot state', async () => {
      const message = digest('sha256', policyApprovalMessage(policy, policyRef));
      const ticket = await client.execute(verifySignature(loaded, message, signature));
      await client.execute(policyAuthorize(session.handle, policy, policyRef, loaded.name, ticket));
    });
  } finally {
    await client.flush(loaded.handle);
  }
}

/** The meaning of a comparison that fails. */
const leaseOver: Readonly<Record<LeaseTermStep['kind'], string>> = {
  'reset-count': 'the TPM was reset since the key was released',
  'restart-count': 'the TPM was restarted or suspended since the key was released',
  clock: "the TPM's clock is past the end of the lease",
  counter: 'the lease counter was incremented or removed since the key was released',
};
/** TPM_RC_POLICY: a comparison failed. */
const policyCode = 0x126;

/** The TPM makes each comparison now; leaving one out or changing it gives another policy, which Unseal refuses. */
async function showTerms(client: TpmClient, session: TpmSession, terms: LeaseTerms): Promise<void> {
  for (const { kind, term } of leaseTermSteps(terms)) {
    try {
      if (kind === 'counter') {
        await client.execute(policyNv(leaseCounter, leaseCounter, session.handle, term), ['password']);
      } else await client.execute(policyCounterTimer(session.handle, term));
    } catch (cause) {
      const responseCode = refusalOf(cause);
      // A missing counter gives other codes; the lease ended with it.
      if (responseCode === undefined || (responseCode !== policyCode && kind !== 'counter')) throw cause;
      throw new HardwareError('tpm-lease-over', `the lease is over: ${leaseOver[kind]}`, { cause, responseCode });
    }
  }
}

/** Translates a response code of the TPM into an error of this package; a failing transport keeps its error. */
export async function refusedAs<Result>(
  code: HardwareErrorCode,
  message: string,
  attempt: () => Promise<Result>,
): Promise<Result> {
  try {
    return await attempt();
  } catch (cause) {
    const responseCode = refusalOf(cause);
    if (responseCode === undefined) throw cause;
    const said = cause instanceof Error ? cause.message : '';
    throw new HardwareError(code, `${message} (${said})`, { cause, responseCode });
  }
}

/** The response code, when the TPM refused. */
function refusalOf(cause: unknown): number | undefined {
  return cause instanceof HardwareError && cause.code === 'tpm-failed' ? cause.responseCode : undefined;
}
