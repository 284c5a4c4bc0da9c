// Endorsement keys of one TPM: found where firmware keeps them loaded, or made again from their template, and authorized for use.
import { equalBytes } from '@edgekeep/core/bytes';
import { entityOf } from '@edgekeep/core/tpm/command';
import { getHandles, handleRanges } from '@edgekeep/core/tpm/commands/capability';
import { createPrimary, readPublic } from '@edgekeep/core/tpm/commands/object';
import { policyOr, policySecret } from '@edgekeep/core/tpm/commands/policy';
import { encodePublic, hierarchies, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import { type EndorsementKeyKind, type EndorsementTemplate, endorsementTemplate } from '@edgekeep/core/tpm/template';
import { HardwareError } from '../error.ts';
import type { Authorization, SaltKey, TpmClient } from './client.ts';

export interface LoadedEndorsementKey extends SaltKey {
  readonly kind: EndorsementKeyKind;
  readonly template: EndorsementTemplate;
  /** Whether it takes one of the few slots for loaded objects. */
  readonly transient: boolean;
}

/** The endorsement key of this kind. Making an RSA key again can take a real TPM many seconds, so a loaded one is preferred. */
export async function loadEndorsementKey(client: TpmClient, kind: EndorsementKeyKind): Promise<LoadedEndorsementKey> {
  const template = endorsementTemplate(kind);
  const handle = template.persistentHandle;
  const persistent = await client.execute(getHandles(handleRanges.persistent));
  const kept = persistent.includes(handle) ? await readKept(client, handle) : undefined;
  if (kept !== undefined && followsTemplate(kept.publicArea, template.template)) {
    const { publicArea, name } = kept;
    return { kind, template, publicArea, entity: { handle, name }, transient: false };
  }
  const created = await client.execute(createPrimary('endorsement', template.template), ['password']);
  if (!followsTemplate(created.publicArea, template.template)) {
    await client.flush(created.handle);
    throw new HardwareError(
      'tpm-key-unexpected',
      `the TPM made an endorsement key that differs from its ${kind} template`,
    );
  }
  const entity = { handle: created.handle, name: created.name };
  return { kind, template, publicArea: created.publicArea, entity, transient: true };
}

// A TPM whose owner hierarchy is disabled lists what that hierarchy keeps, and does not show it: the key is made again.
async function readKept(client: TpmClient, handle: number) {
  try {
    return await client.execute(readPublic(handle));
  } catch (error) {
    if (error instanceof HardwareError && error.code === 'tpm-failed') return undefined;
    throw error;
  }
}

/** Everything except the key itself matches the template. */
export function followsTemplate(publicArea: TpmPublic, template: TpmPublic): boolean {
  return equalBytes(encodePublic(withoutKey(publicArea)), encodePublic(withoutKey(template)));
}

function withoutKey(publicArea: TpmPublic): TpmPublic {
  const none = new Uint8Array(0);
  switch (publicArea.kind) {
    case 'rsa':
      return { ...publicArea, modulus: none };
    case 'ecc':
      return { ...publicArea, x: none, y: none };
    case 'keyedhash':
    case 'symcipher':
      return { ...publicArea, unique: none };
  }
}

/** Runs `use` with an authorization for one command on the key, by the profile's policy. */
export async function withEndorsementKey<Result>(
  client: TpmClient,
  key: LoadedEndorsementKey,
  use: (authorization: Authorization) => Promise<Result>,
): Promise<Result> {
  const { policyBranches, policyHash } = key.template;
  const session = await client.startSession('policy', policyHash, key);
  try {
    await client.execute(policySecret(entityOf(hierarchies.endorsement), session.handle), ['password']);
    if (policyBranches.length > 0) await client.execute(policyOr(session.handle, policyBranches));
    return await use({ session, encrypt: true });
  } finally {
    await client.flush(session.handle);
  }
}
