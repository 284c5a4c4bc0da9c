// What the start of an agent says about its TPM: the one of another device, or one with which it cannot enroll, stops it; what the TPM lacks without
// being useless is an event.
import type { HardwareError } from '@edgekeep/hardware/error';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import type { TpmCondition } from '@edgekeep/hardware/tpm/condition';
import type { Emit } from '../event.ts';
import type { KeptState } from '../kept-state.ts';
import { readIfThere, type StateFolder } from '../state-folder.ts';
import { assertEndorsed } from './endorsed.ts';
import { assertEnrolledTpm } from './enrolled-tpm.ts';
import { watchTpmClock } from './tpm-clock-record.ts';

/** The TPM with which it enrolled; before, one with which it can. */
export async function assertOwnTpm(folder: StateFolder, rootOfTrust: RootOfTrust, kept: KeptState): Promise<void> {
  await assertEnrolledTpm(folder.enrolledTpm, rootOfTrust, kept);
  if (!(await isEnrolled(folder))) assertEndorsed(await rootOfTrust.describe());
}

/** Reports what the TPM lacks, and whether it was cleared; nothing of another root of trust. */
export async function reportTpm(condition: TpmCondition | undefined, folder: StateFolder, emit: Emit): Promise<void> {
  if (condition === undefined) return;
  const { lacking, clock } = condition;
  for (const { code, message } of lacking) emit({ kind: 'failed', step: 'root-of-trust', code, message });
  await watchTpmClock(folder.tpmClock, clock, await isEnrolled(folder), emit);
}

/** Each key request would say it again. */
export function onceEach(emit: Emit): (error: HardwareError) => void {
  const said = new Set<string>();
  return ({ code, message }) => {
    if (said.has(code)) return;
    said.add(code);
    emit({ kind: 'failed', step: 'lease-counter', code, message });
  };
}

async function isEnrolled(folder: StateFolder): Promise<boolean> {
  return (await readIfThere(folder.enrolled)) !== undefined;
}
