// A secret that only this TPM gives back, for the state folder: TPM2_Import puts it under the endorsement key, and what is kept afterwards is
// encrypted by the symmetric key of that parent alone (TPM 2.0 Part 1, 22.4). Who copies the file has to break no elliptic curve but AES.
import { randomBytes } from 'node:crypto';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { importObject, load } from '@edgekeep/core/tpm/commands/object';
import { policyAuthValue } from '@edgekeep/core/tpm/commands/policy';
import { emptyPolicy, policyAuthValue as authValueDigest } from '@edgekeep/core/tpm/policy';
import type { LocalSeal } from '../root-of-trust.ts';
import type { TpmClient } from './client.ts';
import { type LoadedEndorsementKey, withEndorsementKey } from './endorsement.ts';
import { refusedAs, unsealCopy } from './key-opening.ts';

/** Seals under this endorsement key. The secret is not overwritten. */
export async function sealLocally(
  client: TpmClient,
  parent: LoadedEndorsementKey,
  secret: Uint8Array,
): Promise<LocalSeal> {
  const authValue = randomBytes(32);
  const policyDigest = authValueDigest(emptyPolicy());
  const blob = makeImportBlob({ parentPublic: parent.publicArea, secret, policyDigest, authValue, randomBytes });
  const { publicArea, duplicate, encryptedSeed } = blob;
  const privateArea = await withEndorsementKey(client, parent, (authorization) =>
    client.execute(importObject(parent.entity, publicArea, duplicate, encryptedSeed), [authorization]),
  );
  return { parent: parent.kind, publicArea, privateArea: Uint8Array.from(privateArea), authValue };
}

/** The secret; the caller zeroes it. Throws `tpm-blob-refused` for another TPM, another endorsement key, or an altered seal. */
export async function unsealLocally(
  client: TpmClient,
  parent: LoadedEndorsementKey,
  { publicArea, privateArea, authValue }: LocalSeal,
): Promise<Uint8Array> {
  return refusedAs('tpm-blob-refused', 'it was sealed by another TPM, or was altered', async () => {
    const item = await withEndorsementKey(client, parent, (authorization) =>
      client.execute(load(parent.entity, privateArea, publicArea), [authorization]),
    );
    try {
      const session = await client.startSession('policy', 'sha256', parent);
      try {
        await client.execute(policyAuthValue(session.handle));
        return await unsealCopy(client, item, session, authValue);
      } finally {
        await client.flush(session.handle);
      }
    } finally {
      await client.flush(item.handle);
    }
  });
}
