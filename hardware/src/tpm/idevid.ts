// The key and certificate of an IDevID in one TPM (spec/manufacture.md): a primary of the endorsement hierarchy, made again from its
// template for each use, and an NV index for the certificate.
import { createHash } from 'node:crypto';
import { concat } from '@edgekeep/core/bytes';
import type { IdevidProof } from '@edgekeep/core/attest/idevid-proof';
import { ecdsaRawToDer } from '@edgekeep/core/jws';
import { type Entity, entityOf } from '@edgekeep/core/tpm/command';
import { certifyCreation, sign } from '@edgekeep/core/tpm/commands/attestation';
import { getHandles, handleRanges } from '@edgekeep/core/tpm/commands/capability';
import {
  nvAttributes,
  nvDefineSpace,
  type NvPublic,
  nvReadPublic,
  nvUndefineSpace,
  nvWrite,
} from '@edgekeep/core/tpm/commands/nv';
import { type CreatedPrimary, createPrimary } from '@edgekeep/core/tpm/commands/object';
import { encodeSizedPublic, hierarchies, padLeft } from '@edgekeep/core/tpm/public-area';
import { encodeTpmSignature, type TpmSignature } from '@edgekeep/core/tpm/signature';
import { idevidCertificateIndex, idevidKeyTemplate } from '@edgekeep/core/tpm/template';
import { HardwareError } from '../error.ts';
import { readCertificates } from './certificate-store.ts';
import type { TpmClient } from './client.ts';
import { followsTemplate } from './endorsement.ts';

/** Every TPM takes at least this many bytes of NV at once. */
const chunkBytes = 512;
const coordinateLength = 32;
/**
 * TPM_RC_NV_SPACE; TPM_RC_SIZE and TPM_RC_VALUE of a parameter, for an index that is larger than this TPM supports; TPM_RC_BAD_AUTH and
 * TPM_RC_AUTH_FAIL when the owner has set a password.
 */
const noRoomCodes: readonly number[] = [0x14b, 0x2d5, 0x2c4, 0x1d5, 0x9a2, 0x98e];

/** The IDevID of this TPM and its issuers; empty when there is none. */
export async function readIdevidChain(client: TpmClient): Promise<readonly Uint8Array[]> {
  return readCertificates(client, idevidCertificateIndex);
}

/** Runs `use` with the key loaded. Throws `tpm-key-unexpected` when the TPM makes another key than the template asks for. */
export async function withIdevidKey<Result>(
  client: TpmClient,
  use: (key: CreatedPrimary & { readonly entity: Entity }) => Promise<Result>,
): Promise<Result> {
  const created = await client.execute(createPrimary('endorsement', idevidKeyTemplate), ['password']);
  try {
    if (!followsTemplate(created.publicArea, idevidKeyTemplate)) {
      throw new HardwareError('tpm-key-unexpected', 'the TPM made an IDevID key that differs from its template');
    }
    return await use({ ...created, entity: { handle: created.handle, name: created.name } });
  } finally {
    await client.flush(created.handle);
  }
}

/** ECDSA P-256 SHA-256, DER. */
export function signWithIdevidKey(client: TpmClient, message: Uint8Array): Promise<Uint8Array> {
  return withIdevidKey(client, async ({ entity }) =>
    derOf(await client.execute(sign(entity, sha256(message)), ['password'])),
  );
}

/** The signature, and the statement of the TPM, signed by its attestation key, that it made the IDevID key. */
export function proveIdevid(client: TpmClient, attestationKey: Entity, message: Uint8Array): Promise<IdevidProof> {
  return withIdevidKey(client, async ({ entity, publicArea, creation }) => {
    const digest = sha256(message);
    const signature = derOf(await client.execute(sign(entity, digest), ['password']));
    const command = certifyCreation(attestationKey, entity, digest, creation);
    const certified = await client.execute(command, ['password']);
    return {
      signature,
      residency: {
        publicArea: encodeSizedPublic(publicArea),
        attest: Uint8Array.from(certified.attest),
        signature: encodeTpmSignature(certified.signature),
      },
    };
  });
}

/**
 * Writes the chain, or only the IDevID where there is no room for more; false when there is no room even for that, or the owner has a
 * password.
 */
export async function writeIdevidChain(client: TpmClient, chain: readonly Uint8Array[]): Promise<boolean> {
  const [leaf] = chain;
  if (leaf === undefined) throw new TypeError('no certificate to store');
  const indices = await client.execute(getHandles(handleRanges.nvIndex));
  if (indices.includes(idevidCertificateIndex) && !(await permitted(() => undefine(client)))) return false;
  return (await write(client, concat(...chain))) || (chain.length > 1 && (await write(client, leaf)));
}

async function permitted(action: () => Promise<unknown>): Promise<boolean> {
  try {
    await action();
    return true;
  } catch (error) {
    if (error instanceof HardwareError && noRoomCodes.includes(error.responseCode ?? 0)) return false;
    throw error;
  }
}

async function undefine(client: TpmClient): Promise<void> {
  const { name } = await client.execute(nvReadPublic(idevidCertificateIndex));
  await client.execute(nvUndefineSpace({ handle: idevidCertificateIndex, name }), ['password']);
}

async function write(client: TpmClient, bytes: Uint8Array): Promise<boolean> {
  const { ownerWrite, ownerRead, authRead, noDictionaryAttack } = nvAttributes;
  const definition: NvPublic = {
    index: idevidCertificateIndex,
    nameAlgorithm: 'sha256',
    // Anybody may read it; only the owner of the TPM may overwrite it.
    attributes: ownerWrite | ownerRead | authRead | noDictionaryAttack,
    authPolicy: new Uint8Array(0),
    dataSize: bytes.length,
  };
  if (!(await permitted(() => client.execute(nvDefineSpace(definition), ['password'])))) return false;
  for (let offset = 0; offset < bytes.length; offset += chunkBytes) {
    // The Name changes with the first write.
    const { name } = await client.execute(nvReadPublic(idevidCertificateIndex));
    const index = { handle: idevidCertificateIndex, name };
    const part = bytes.subarray(offset, offset + chunkBytes);
    await client.execute(nvWrite(entityOf(hierarchies.owner), index, part, offset), ['password']);
  }
  return true;
}

function derOf(signature: TpmSignature): Uint8Array {
  if (signature.kind !== 'ecdsa' || signature.hash !== 'sha256') {
    throw new HardwareError('tpm-response-invalid', 'the IDevID key did not sign by ECDSA with SHA-256');
  }
  const { r, s } = signature;
  return ecdsaRawToDer(concat(padLeft(r, coordinateLength), padLeft(s, coordinateLength)));
}

function sha256(message: Uint8Array): Uint8Array {
  return createHash('sha256').update(message).digest();
}
