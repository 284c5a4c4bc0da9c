// What can keep a TPM from doing its work here, read before anything is asked of it: one cause each (docs/agent-causes.md). Nothing is changed,
// and no password is tried.
import { setTimeout } from 'node:timers/promises';
import { leaseCounter, leaseCounterDefinition } from '@edgekeep/core/access/lease-counter';
import { equalBytes } from '@edgekeep/core/bytes';
import { algorithmIds } from '@edgekeep/core/tpm/algorithm';
import type { ClockInfo } from '@edgekeep/core/tpm/attest';
import {
  getBanks,
  getHandles,
  getProperties,
  permanentBits,
  properties,
  startupClearBits,
} from '@edgekeep/core/tpm/commands/capability';
import { readClock } from '@edgekeep/core/tpm/commands/clock';
import { nvName, nvReadPublic } from '@edgekeep/core/tpm/commands/nv';
import { pcrCount } from '@edgekeep/core/tpm/pcr-selection';
import { HardwareError, type HardwareErrorCode } from '../error.ts';
import type { HierarchyPasswords, TpmClient } from './client.ts';

export interface TpmCondition {
  readonly clock: ClockInfo;
  /** These stop the agent, the first first. */
  readonly stopping: readonly HardwareError[];
  /** With these it works, and lacks something. */
  readonly lacking: readonly HardwareError[];
}

/** A TPM counts milliseconds; some advance in steps. */
const clockPauseMilliseconds = 100;
const CLOCK_PAUSES_MAX = 30;
/** The properties that are read are in this range. */
const propertyCount = 32;

export async function readCondition(client: TpmClient, passwords: HierarchyPasswords): Promise<TpmCondition> {
  const known = await client.execute(getProperties(properties.permanent, propertyCount));
  const permanent = known.get(properties.permanent) ?? 0;
  const startup = known.get(properties.startupClear);
  const has = (value: number, bit: number) => (value & bit) !== 0;
  const owned = has(permanent, permanentBits.ownerAuthSet) && passwords.owner === undefined;
  const stopping = [
    startup !== undefined && !has(startup, startupClearBits.ehEnable)
      ? cause('tpm-hierarchy-disabled', 'the endorsement hierarchy of the TPM is disabled')
      : undefined,
    has(permanent, permanentBits.endorsementAuthSet) && passwords.endorsement === undefined
      ? cause('tpm-endorsement-password', 'the endorsement hierarchy of the TPM has a password')
      : undefined,
    await bankCause(client),
  ];
  const lacking = [
    has(permanent, permanentBits.inLockout) ? lockoutCause(known) : undefined,
    startup !== undefined && !has(startup, startupClearBits.shEnable)
      ? cause('tpm-hierarchy-disabled', 'the owner hierarchy of the TPM is disabled')
      : undefined,
    await counterCause(client, { owned, room: known.get(properties.nvCountersAvailable) }),
    await clockCause(client),
  ];
  const { clockInfo } = await client.execute(readClock());
  return { clock: clockInfo, stopping: present(stopping), lacking: present(lacking) };
}

function cause(code: HardwareErrorCode, found: string): HardwareError {
  return new HardwareError(code, found);
}

function present(causes: readonly (HardwareError | undefined)[]): readonly HardwareError[] {
  return causes.filter((each) => each !== undefined);
}

async function bankCause(client: TpmClient): Promise<HardwareError | undefined> {
  const banks = await client.execute(getBanks());
  const allocated = banks.filter((bank) => bank.pcrCount > 0);
  if (allocated.some((bank) => bank.algorithm === algorithmIds.sha256 && bank.pcrCount >= pcrCount)) return undefined;
  const names = Object.entries(algorithmIds).filter(([, id]) => allocated.some(({ algorithm }) => algorithm === id));
  const shown = names.map(([name]) => name).join(', ') || 'none';
  return cause('tpm-bank-missing', `the SHA-256 bank of the TPM is not allocated (allocated: ${shown})`);
}

function lockoutCause(known: ReadonlyMap<number, number>): HardwareError {
  const counter = known.get(properties.lockoutCounter) ?? 0;
  const maxWrong = known.get(properties.maxAuthFail) ?? 0;
  const seconds = known.get(properties.lockoutIntervalSeconds) ?? 0;
  const recovery = seconds === 0 ? 'it forgets none' : `it forgets one in ${seconds} s`;
  return cause(
    'tpm-locked-out',
    `the TPM is locked: ${counter} wrong passwords of at most ${maxWrong}, and each power cut counts as one; ${recovery}`,
  );
}

/** Why this TPM will have no lease counter. */
async function counterCause(
  client: TpmClient,
  { owned, room }: { readonly owned: boolean; readonly room: number | undefined },
): Promise<HardwareError | undefined> {
  if ((await client.execute(getHandles(leaseCounter.handle))).includes(leaseCounter.handle)) {
    const { name } = await client.execute(nvReadPublic(leaseCounter.handle));
    const isOurs = equalBytes(name, leaseCounter.name) || equalBytes(name, nvName(leaseCounterDefinition));
    return isOurs ? undefined : counterTaken();
  }
  if (owned) return cause('tpm-owner-password', 'the owner of the TPM has a password, and there is no lease counter');
  return room === 0 ? cause('tpm-nv-full', 'the TPM has no room for the lease counter') : undefined;
}

export function counterTaken(): HardwareError {
  return cause('lease-counter-taken', 'the NV index 0x0181ec01 of the lease counter is used for something else');
}

async function clockCause(client: TpmClient): Promise<HardwareError | undefined> {
  const clockOf = async () => (await client.execute(readClock())).clockInfo.clock;
  const first = await clockOf();
  for (let pauses = 0; pauses < CLOCK_PAUSES_MAX; pauses += 1) {
    if ((await clockOf()) !== first) return undefined;
    await setTimeout(clockPauseMilliseconds);
  }
  const seconds = (CLOCK_PAUSES_MAX * clockPauseMilliseconds) / 1_000;
  return cause('tpm-clock-stopped', `the clock of the TPM shows ${first} ms, and did not advance in ${seconds} s`);
}
