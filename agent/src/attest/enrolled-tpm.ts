// The TPM with which this device enrolled (spec/agent.md, "The TPM of a device"): an agent whose disk was put into another machine, or whose TPM
// was replaced, stops before it measures or signs anything there.
import { sha256Hex } from '@edgekeep/core/digest';
import { parseJson } from '@edgekeep/core/json';
import { utf8 } from '@edgekeep/core/bytes';
import type { RootOfTrust, TpmIdentity } from '@edgekeep/hardware/root-of-trust';
import { replaceBoth } from '@edgekeep/host/two-copies';
import { type EndorsementKeyKind, endorsementKeyKinds } from '@edgekeep/core/tpm/template';
import { z } from 'zod';
import { AgentError } from '../error.ts';
import { KeptState } from '../kept-state.ts';

const schema = z.strictObject({
  endorsementKeyKind: z.string().max(16),
  /** Of the TPM2B_PUBLIC, hex. */
  endorsementKeySha256: z.string().regex(/^[0-9a-f]{64}$/),
  manufacturer: z.string().max(16),
});
type EnrolledTpm = z.infer<typeof schema>;

/** Throws `tpm-differs` when the device enrolled with another TPM. Where the record is lost, the hub's own says it at the next connection. */
export async function assertEnrolledTpm(
  file: string,
  rootOfTrust: Pick<RootOfTrust, 'tier' | 'describe'>,
  kept: KeptState = new KeptState(),
): Promise<void> {
  const enrolled = await readEnrolled(file, kept);
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

/** The kind of the endorsement key with which it enrolled; undefined before, and where the record is lost. */
export async function enrolledKind(file: string): Promise<EndorsementKeyKind | undefined> {
  const kind = (await readEnrolled(file, new KeptState()))?.endorsementKeyKind;
  return endorsementKeyKinds.find((each) => each === kind);
}

/** Keeps the TPM with which the hub knows this device; once. Nothing is kept of other roots of trust: their keys are in the state folder. */
export async function keepEnrolledTpm(
  file: string,
  rootOfTrust: Pick<RootOfTrust, 'tier' | 'describe'>,
): Promise<void> {
  if ((await readEnrolled(file, new KeptState())) !== undefined) return;
  const here = await describedTpm(rootOfTrust);
  if (here !== undefined) await replaceBoth(file, utf8(`${JSON.stringify(here)}\n`));
}

function readEnrolled(file: string, kept: KeptState): Promise<EnrolledTpm | undefined> {
  return kept.read('enrolled-tpm', file, { parse: (bytes) => parseJson(bytes, schema, file) });
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
