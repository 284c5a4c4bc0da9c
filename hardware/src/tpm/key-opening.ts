// Opening a model key inside the TPM: import the blob under the endorsement key, load it, show the PCRs (and, where the policy was
// approved by a key, the approval), unseal. The answer travels encrypted, so a probe on the bus does not read it.
import type { TpmWrappedKey } from '@edgekeep/core/access/wrapped-key';
import { parseBase64url } from '@edgekeep/core/bytes';
import { digest } from '@edgekeep/core/tpm/algorithm';
import { verifySignature } from '@edgekeep/core/tpm/commands/attestation';
import { importObject, load, loadExternal, unseal } from '@edgekeep/core/tpm/commands/object';
import { policyAuthorize, policyGetDigest, policyPcr } from '@edgekeep/core/tpm/commands/policy';
import { policyApprovalMessage } from '@edgekeep/core/tpm/policy';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { parseTpmSignature } from '@edgekeep/core/tpm/signature';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import type { TpmClient, TpmSession } from './client.ts';
import { type LoadedEndorsementKey, withEndorsementKey } from './endorsement.ts';

/** Throws `tpm-blob-refused` when the blob is not for this TPM or was altered, `tpm-policy-refused` when the PCRs or the approval do not fit. */
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
    const refusal = 'the boot state is not the one the key was bound to';
    return await refusedAs('tpm-policy-refused', refusal, async () => {
      const secret = await client.execute(unseal(item), [{ session, encrypt: true }]);
      const copy = Uint8Array.from(secret);
      secret.fill(0);
      return copy;
    });
  } finally {
    await client.flush(session.handle);
  }
}

/** PolicyAuthorize: the session's PolicyPCR, over the values of now, is one that the approving key signed. */
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
    await refusedAs('tpm-policy-refused', 'no approval for the boot state of now', async () => {
      const message = digest('sha256', policyApprovalMessage(policy, policyRef));
      const ticket = await client.execute(verifySignature(loaded, message, signature));
      await client.execute(policyAuthorize(session.handle, policy, policyRef, loaded.name, ticket));
    });
  } finally {
    await client.flush(loaded.handle);
  }
}

/** Says in this product's words what the TPM said with a response code; a failing transport stays what it is. */
export async function refusedAs<Result>(
  code: HardwareErrorCode,
  message: string,
  attempt: () => Promise<Result>,
): Promise<Result> {
  try {
    return await attempt();
  } catch (cause) {
    if (!(cause instanceof HardwareError) || cause.code !== 'tpm-failed' || cause.responseCode === undefined)
      throw cause;
    const { responseCode } = cause;
    throw new HardwareError(code, `${message} (${cause.message})`, { cause, responseCode });
  }
}
