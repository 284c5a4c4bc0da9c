// The root of trust and its boot log, opened from the settings. The machine's own firmware and IMA logs belong only to a TPM that is a
// device of this machine.
import { existsSync } from 'node:fs';
import { BootLog } from '@edgekeep/hardware/boot/boot-log';
import { kernelFirmwareLog, kernelImaLog, systemdLog } from '@edgekeep/hardware/boot/kernel-logs';
import { DiceRootOfTrust } from '@edgekeep/hardware/dice/dice-root-of-trust';
import { readHandoffFolder } from '@edgekeep/hardware/dice/handoff';
import { Pkcs11RootOfTrust } from '@edgekeep/hardware/pkcs11/pkcs11-root-of-trust';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import { SoftwareRootOfTrust } from '@edgekeep/hardware/software/software-root-of-trust';
import type { TpmCondition } from '@edgekeep/hardware/tpm/condition';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { parseTpmAddress } from '@edgekeep/hardware/tpm/transport';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { AgentError } from '../error.ts';
import type { Answer } from '../hub-api.ts';
import { enrolledKind } from './enrolled-tpm.ts';
import { chooseEndorsementKey, enrollByAnyKey } from './endorsement-choice.ts';
import { type FirmwareLog, readFirmwareLog } from './firmware-log.ts';
import { LaterMeasurements } from './later-measurements.ts';
import type { AgentSettings } from '../settings.ts';
import { readIfThere, type StateFolder } from '../state-folder.ts';

export async function openRootOfTrust(
  { rootOfTrust: chosen }: AgentSettings,
  folder: StateFolder,
  bootId: string,
): Promise<OpenedRoot> {
  const stateFolder = folder.softwareRootOfTrust;
  if (chosen.kind === 'software') return alone(await SoftwareRootOfTrust.open({ stateFolder, bootId }));
  if (chosen.kind === 'pkcs11') {
    const {
      module,
      token: label,
      slot,
      pinFile,
      signingKeyLabel: signing,
      agreementKeyLabel: agreement,
      idevidLabel,
    } = chosen;
    const library = folder.resolve(module);
    // A library runs in this process. The module reports one that is missing.
    const why = existsSync(library) ? othersMayWrite(library) : undefined;
    if (why !== undefined) throw new AgentError('settings-invalid', `rootOfTrust.module is not loaded: ${why}`);
    const element = await Pkcs11RootOfTrust.open({
      module: library,
      token: { label, slot },
      pinFile: folder.resolve(pinFile),
      keyLabels: { signing, agreement },
      idevidLabel,
      idevidFile: folder.idevid,
      stateFolder,
      bootId,
    });
    return alone(element);
  }
  if (chosen.kind === 'dice') {
    const handoff = await readHandoffFolder(folder.resolve(chosen.handoffFolder));
    return alone(await DiceRootOfTrust.open(handoff, { stateFolder, bootId }));
  }
  const address = parseTpmAddress(chosen.address);
  if (address === undefined) throw new AgentError('settings-invalid', `not the address of a TPM: ${chosen.address}`);
  const { endorsementPasswordFile, ownerPasswordFile } = chosen;
  const tpm = await TpmRootOfTrust.open(address, {
    idevidFile: folder.idevid,
    endorsementPasswordFile: endorsementPasswordFile && folder.resolve(endorsementPasswordFile),
    ownerPasswordFile: ownerPasswordFile && folder.resolve(ownerPasswordFile),
  });
  try {
    const condition = await tpm.condition();
    const [cause] = condition.stopping;
    if (cause !== undefined) throw cause;
    const enrolledWith = await enrolledKind(folder.enrolledTpm);
    const isEnrolled = (await readIfThere(folder.enrolled)) !== undefined;
    const choice = await chooseEndorsementKey(tpm, { wanted: chosen.endorsementKey, enrolledWith, isEnrolled });
    return { rootOfTrust: tpm, byKeys: (attempt) => enrollByAnyKey(tpm, choice, attempt), condition };
  } catch (error) {
    await tpm[Symbol.asyncDispose]();
    throw error;
  }
}

export interface OpenedRoot {
  readonly rootOfTrust: RootOfTrust;
  /** Tries an enrollment by each endorsement key that may identify this device. */
  readonly byKeys: <T>(attempt: () => Promise<Answer<T>>) => Promise<Answer<T>>;
  /** Of a TPM that was opened here. */
  readonly condition?: TpmCondition;
}

/** A root of trust with one identity. */
export function alone(rootOfTrust: RootOfTrust): OpenedRoot {
  return { rootOfTrust, byKeys: (attempt) => attempt() };
}

export async function openBootLog(
  settings: AgentSettings,
  folder: StateFolder,
  bootId: string,
  rootOfTrust: RootOfTrust,
  later: LaterMeasurements,
): Promise<{ readonly bootLog: BootLog; readonly firmwareLog: FirmwareLog }> {
  const named = settings.measuredStart.firmwareLogFile;
  const inKernel = isOfThisMachine(settings) ? kernelFirmwareLog : undefined;
  const firmwareLog = await readFirmwareLog({ named: named && folder.resolve(named), inKernel });
  const bootLog = await BootLog.open({
    folder: folder.bootLogs,
    bootId,
    rootOfTrust,
    measuredLater: (log) => later.records(log),
    ...(firmwareLog.bytes === undefined ? {} : { firmwareLog: firmwareLog.bytes }),
  });
  return { bootLog, firmwareLog };
}

/** What the system measured after the boot; it has a log only where it is this machine's TPM. */
export function laterMeasurements(
  settings: AgentSettings,
  folder: StateFolder,
  rootOfTrust: RootOfTrust,
): LaterMeasurements {
  const named = settings.measuredStart.userspaceLogFile;
  const file = named === undefined ? (isOfThisMachine(settings) ? systemdLog : undefined) : folder.resolve(named);
  return new LaterMeasurements(rootOfTrust.tier === 'tpm' ? rootOfTrust : undefined, file);
}

/** Undefined when there is none to send. */
export function imaLogFile(settings: AgentSettings, folder: StateFolder): string | undefined {
  const named = settings.measuredStart.imaLogFile;
  return named === undefined ? (isOfThisMachine(settings) ? kernelImaLog : undefined) : folder.resolve(named);
}

function isOfThisMachine({ rootOfTrust }: AgentSettings): boolean {
  return rootOfTrust.kind === 'tpm' && parseTpmAddress(rootOfTrust.address)?.kind === 'device';
}
