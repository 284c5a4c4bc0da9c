// The TPM with which this device enrolled (spec/agent.md, "The TPM of a device"): an agent whose disk was put into another machine, or whose TPM
// was replaced, stops before it measures or signs anything there.
import { readFile } from 'node:fs/promises';
import { sha256Hex } from '@edgekeep/core/digest';
import { parseJson } from '@edgekeep/core/json';
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import type { RootOfTrust, TpmIdentity } from '@edgekeep/hardware/root-of-trust';
import { replaceFile } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { type EndorsementKeyKind, endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { z } from 'zod';
import { AgentError } from '../error.ts';

const schema = z.strictObject({
  endorsementKeyKind: z.string().max(16),
  /** Of the TPM2B_PUBLIC, hex. */
  endorsementKeySha256: z.string().regex(/^[0-9a-f]{64}$/),
  manufacturer: z.string().max(16),
});
type EnrolledTpm = z.infer<typeof schema>;

/** Throws `tpm-differs` when the device enrolled with another TPM, and `state-invalid` for a broken record. */
export async function assertEnrolledTpm(
  file: string,
  rootOfTrust: Pick<RootOfTrust, 'tier' | 'describe'>,
): Promise<void> {
  const enrolled = await readEnrolled(file);
  if (enrolled === undefined) return;
  const here = await describedTpm(rootOfTrust);
  if (here?.endorsementKeySha256 === enrolled.endorsementKeySha256) return;
  const found = here === undefined ? `a root of trust of the tier ${rootOfTrust.tier}` : textOf(here);
  const sameMachine =
    here === undefined || here.endorsementKeyKind !== enrolled.endorsementKeyKind
      ? `if the settings changed, set rootOfTrust back (endorsementKey: ${enrolled.endorsementKeyKind}). Otherwise `
      : '';
  throw new AgentError(
    'tpm-differs',
    `this device enrolled with ${textOf(enrolled)}, and here is ${found}: ${sameMachine}put the disk back into its machine; after a repair, an operator wipes the device, names the new TPM (edgekeep device replace-root), and the agent enrolls again with an empty state folder`,
  );
}

/** The kind of the endorsement key with which it enrolled; undefined before, and for a record that the next check refuses. */
export async function enrolledKind(file: string): Promise<EndorsementKeyKind | undefined> {
  const kind = (await readEnrolled(file))?.endorsementKeyKind;
  return endorsementKeyKinds.find((each) => each === kind);
}

/** Keeps the TPM with which the hub knows this device; once. Nothing is kept of other roots of trust: their keys are in the state folder. */
export async function keepEnrolledTpm(
  file: string,
  rootOfTrust: Pick<RootOfTrust, 'tier' | 'describe'>,
): Promise<void> {
  if ((await readEnrolled(file)) !== undefined) return;
  const here = await describedTpm(rootOfTrust);
  if (here !== undefined) await replaceFile(file, utf8(`${JSON.stringify(here)}\n`));
}

async function readEnrolled(file: string): Promise<EnrolledTpm | undefined> {
  const bytes = await orIfMissing(readFile(file), undefined);
  if (bytes === undefined) return undefined;
  try {
    return parseJson(bytes, schema, file);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    const message = `${file} does not say with which TPM this device enrolled: restore it from a copy, or enroll the device again`;
    throw new AgentError('state-invalid', message, { cause });
  }
}

async function describedTpm(rootOfTrust: Pick<RootOfTrust, 'tier' | 'describe'>): Promise<EnrolledTpm | undefined> {
  const identity = await rootOfTrust.describe();
  return identity.tier === 'tpm' ? enrolledTpmOf(identity) : undefined;
}

function enrolledTpmOf({ endorsementKey: { kind, publicArea }, manufacturer }: TpmIdentity): EnrolledTpm {
  return { endorsementKeyKind: kind, endorsementKeySha256: sha256Hex(publicArea), manufacturer };
}

function textOf({ manufacturer, endorsementKeyKind, endorsementKeySha256 }: EnrolledTpm): string {
  return `the TPM of ${manufacturer} with the ${endorsementKeyKind} endorsement key ${endorsementKeySha256.slice(0, 16)}…`;
}
