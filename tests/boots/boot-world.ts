// What the boots of one file share: Debian's files, a machine with its TPM, and how a boot of it is appraised. Skipped, by name, where a part
// is missing.
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Appraisal, appraiseEvidence } from '@edgekeep/core/attest/appraise';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { referenceValuesFromBoots } from '@edgekeep/core/attest/golden-boots';
import { attestationKeyOf } from '@edgekeep/core/attest/quote';
import type { ReferenceValues } from '@edgekeep/core/attest/reference-values';
import { pcrValue, replayEventLog } from '@edgekeep/core/attest/replay';
import { toHex } from '@edgekeep/core/bytes';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { debianFiles, type DebianFiles, firmware } from './debian.ts';
import { type GrubDisk, makeGrubDisk } from './disks.ts';
import { type VariableChanges, withVariables } from './firmware-variables.ts';
import { guestCommandLine, guestInitrd, type GuestReport } from './guest.ts';
import { type Boot, type BootOrder, Machine } from './machine.ts';

/** What the hub of these tests quotes. */
export const bootPcrs: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14];

const programs = ['qemu-system-x86_64', 'swtpm', 'swtpm_setup', 'swtpm_ioctl', 'apt-get', 'dpkg-deb'];
const missing = await skipWithout(...programs);
const found = missing === false ? await debianFiles() : missing;

/** The `skip` option of a test that boots. */
export const skipWithoutBoots = typeof found === 'string' ? found : false;

export class BootWorld implements AsyncDisposable {
  readonly folder: string;
  readonly machine: Machine;
  readonly files: DebianFiles;
  #disks = 0;

  private constructor(folder: string, machine: Machine, files: DebianFiles) {
    this.folder = folder;
    this.machine = machine;
    this.files = files;
  }

  static async open(): Promise<BootWorld> {
    if (typeof found === 'string') throw new Error(found);
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-boots-'));
    const vendorFolder = join(folder, 'vendor');
    return new BootWorld(folder, await Machine.make({ folder: join(folder, 'm'), vendorFolder }), found);
  }

  /** The PEM files of the vendor whose CA certified the machine's TPM. */
  get vendorFolder(): string {
    return join(this.folder, 'vendor');
  }

  newFolder(): string {
    this.#disks += 1;
    return join(this.folder, `disk-${this.#disks}`);
  }

  /** A disk with shim, GRUB and Debian's kernel, with these parts exchanged. */
  async grubDisk(changes: Partial<GrubDisk> = {}): Promise<string> {
    const initrd = changes.initrd ?? (await guestInitrd(this.files.busybox));
    const parts = { ...this.files, initrd, commandLine: guestCommandLine, ...changes };
    return makeGrubDisk(this.newFolder(), parts);
  }

  /** Debian's kernel with one bit changed. */
  async changedKernel(): Promise<string> {
    const kernel = await readFile(this.files.kernel);
    kernel[kernel.length >>> 1] = (kernel[kernel.length >>> 1] ?? 0) ^ 1;
    const path = join(this.folder, 'vmlinuz-changed');
    await writeFile(path, kernel);
    return path;
  }

  async variables(base: string, changes: VariableChanges): Promise<string> {
    const path = `${this.newFolder()}.fd`;
    await writeFile(path, withVariables(await readFile(base), changes));
    return path;
  }

  async boot(disk: string, variables: string = firmware.microsoftKeys, device?: BootOrder['device']): Promise<Boot> {
    return this.machine.boot({ disk, variables, ...(device !== undefined && { device }) });
  }

  /** The booted machine's TPM signs, and a verifier appraises it with the log of this boot. */
  async appraise(
    report: Pick<GuestReport, 'bootLog'> & Partial<GuestReport>,
    referenceValues: readonly ReferenceValues[],
    pcrs = bootPcrs,
  ): Promise<Appraisal> {
    await using rootOfTrust = await TpmRootOfTrust.open(this.machine.tpmAddress);
    const expectedQualifyingData = new Uint8Array(32).fill(7);
    const signed = await rootOfTrust.attest(expectedQualifyingData, { bank: 'sha256', pcrs: [...pcrs] });
    if (signed.kind !== 'tpm') throw new Error(`a TPM signs as ${signed.kind}`);
    const { attestationPublic } = await rootOfTrust.describe();
    const ima = pcrs.includes(10) ? { imaLog: report.imaLog } : {};
    return appraiseEvidence({
      evidence: { ...signed, eventLog: report.bootLog, ...ima },
      key: attestationKeyOf(parsePublic(attestationPublic), 'endorsement'),
      tier: 'tpm',
      expectedQualifyingData,
      pcrSelection: pcrs,
      referenceValues,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.machine[Symbol.asyncDispose]();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** The report of a boot that must have reached the guest. */
export function reportOf({ report, console }: Boot): GuestReport {
  if (report === undefined) throw new Error(`the guest did not start: ${console.slice(-500)}`);
  return report;
}

export function goldenValues(name: string, ...logs: readonly Uint8Array[]): ReferenceValues {
  return referenceValuesFromBoots(logs.map(parseEventLog), { name, version: '1' }).values;
}

/** PCRs whose replay differs from what the kernel reads from the TPM; `bootPcrs` when there is none. */
export function differingPcrs({ bootLog, pcrs }: GuestReport): readonly number[] {
  const replayed = replayEventLog(parseEventLog(bootLog), 'sha256');
  return bootPcrs.filter((pcr) => toHex(pcrValue(replayed, pcr)) !== toHex(pcrs.get(pcr) ?? new Uint8Array(0)));
}
