// The lease counter inside one TPM (spec/tpm.md, 7): defined when it is first needed, certified by the attestation key, incremented to end
// every lease given before.
import { leaseCounter, leaseCounterBytes, leaseCounterDefinition } from '@edgekeep/core/access/lease-counter';
import type { SignedLeaseCounter } from '@edgekeep/core/access/lease-counter';
import { equalBytes } from '@edgekeep/core/bytes';
import type { Entity } from '@edgekeep/core/tpm/command';
import { getHandles } from '@edgekeep/core/tpm/commands/capability';
import { nvCertify, nvDefineSpace, nvIncrement, nvName, nvReadPublic } from '@edgekeep/core/tpm/commands/nv';
import { encodeTpmSignature } from '@edgekeep/core/tpm/signature';
import { HardwareError } from '../error.ts';
import type { TpmClient } from './client.ts';
import { counterTaken } from './condition.ts';

/** The counter's value, signed; the counter is made when this TPM has none. Throws one of `leaseCounterCodes`. */
export async function certifyLeaseCounter(
  client: TpmClient,
  attestationKey: Entity,
  qualifyingData: Uint8Array,
): Promise<SignedLeaseCounter> {
  await ensureLeaseCounter(client);
  const command = nvCertify(attestationKey, leaseCounter, leaseCounter, qualifyingData, leaseCounterBytes);
  const { attest, signature } = await client.execute(command, ['password', 'password']);
  return { attest: Uint8Array.from(attest), signature: encodeTpmSignature(signature) };
}

/** Increments the counter: no key that was wrapped for an earlier value opens again. Throws as above. */
export async function countUp(client: TpmClient): Promise<void> {
  await ensureLeaseCounter(client);
  await client.execute(nvIncrement(leaseCounter, leaseCounter), ['password']);
}

async function ensureLeaseCounter(client: TpmClient): Promise<void> {
  const unwritten = { handle: leaseCounter.handle, name: nvName(leaseCounterDefinition) };
  if (!(await client.execute(getHandles(leaseCounter.handle))).includes(leaseCounter.handle)) await define(client);
  const { name } = await client.execute(nvReadPublic(leaseCounter.handle));
  if (equalBytes(name, leaseCounter.name)) return;
  if (!equalBytes(name, unwritten.name)) {
    throw counterTaken();
  }
  await client.execute(nvIncrement(unwritten, unwritten), ['password']);
}

async function define(client: TpmClient): Promise<void> {
  try {
    await client.execute(nvDefineSpace(leaseCounterDefinition), ['password']);
  } catch (cause) {
    if (!(cause instanceof HardwareError) || cause.code !== 'tpm-failed') throw cause;
    throw unusable(`it could not be defined (${cause.message}): let the TPM's owner define it`, cause);
  }
}

function unusable(why: string, cause?: unknown): HardwareError {
  const index = `0x${leaseCounter.handle.toString(16).padStart(8, '0')}`;
  return new HardwareError('lease-counter-unusable', `the lease counter at NV index ${index}: ${why}`, { cause });
}
