// A PC without hardware virtualization: QEMU with OVMF's firmware, Secure Boot and a TPM (swtpm). It boots a folder as its disk. When the
// guest has said what it measured, the machine stops and its TPM goes on, with the PCRs of this boot, for an agent on the host.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { manufacture } from '@edgekeep/hardware/tpm/simulator-manufacture';
import { firmware } from './debian.ts';
import { type GuestReport, parseGuestReport } from './guest.ts';

const run = promisify(execFile);

export interface MachineOptions {
  /** Empty, and short: sockets are made in it. */
  readonly folder: string;
  /** The vendor CA that certifies the machine's TPM. */
  readonly vendorFolder: string;
}

export interface BootOrder {
  /** The disk: a folder with what the firmware starts, EFI/BOOT/BOOTX64.EFI. */
  readonly disk: string;
  /** The firmware's variables; a copy is used. */
  readonly variables: string;
}

export interface Boot {
  /** Undefined when the machine did not reach the guest: its firmware or a loader refused. */
  readonly report: GuestReport | undefined;
  /** Of QEMU. */
  readonly cpuSeconds: number;
  /** What firmware and loaders wrote on the console. */
  readonly console: string;
}

/** A boot takes 13 to 20 seconds of CPU time: this is its limit, which a busy machine does not reach sooner. */
const CPU_SECONDS_MAX = 60;
/** A minute without work: firmware that waits for a key. */
const IDLE_POLLS_MAX = 240;
/** The firmware or a loader asks or waits then, and uses the CPU on. */
const refusal = /Access Denied|Security Violation|Verification failed|bad shim signature|prohibited by secure boot/i;
const pollMilliseconds = 250;

export class Machine implements AsyncDisposable {
  readonly #options: MachineOptions;
  #tpm: ChildProcess | undefined;
  #computer: ChildProcess | undefined;

  private constructor(options: MachineOptions) {
    this.#options = options;
  }

  static async make(options: MachineOptions): Promise<Machine> {
    const machine = new Machine(options);
    await mkdir(machine.#tpmFolder, { recursive: true });
    await mkdir(options.vendorFolder, { recursive: true });
    await manufacture(machine.#tpmFolder, options.vendorFolder);
    return machine;
  }

  get #tpmFolder(): string {
    return join(this.#options.folder, 'tpm');
  }

  /** Where the TPM is reached after a boot. */
  get tpmAddress(): { readonly kind: 'unix'; readonly path: string } {
    return { kind: 'unix', path: join(this.#options.folder, 'tpm.sock') };
  }

  /** Powers on, waits for the guest, and powers off everything but the TPM. */
  async boot({ disk, variables }: BootOrder): Promise<Boot> {
    await this.#stop();
    const { folder } = this.#options;
    const files = { console: join(folder, 'console'), report: join(folder, 'report'), variables: join(folder, 'vars') };
    for (const file of [files.console, files.report]) await rm(file, { force: true });
    await copyFile(variables, files.variables);
    const control = await this.#startTpm([]);
    const computer = spawn('qemu-system-x86_64', qemuArguments({ ...files, control, disk }), { stdio: 'ignore' });
    this.#computer = computer;
    const boot = await this.#untilReported(computer, files);
    // Killed, and not shut down: QEMU would end the TPM too.
    await ended(computer, 'SIGKILL');
    if (boot.report !== undefined) await this.#continueTpm(control);
    return boot;
  }

  async #untilReported(computer: ChildProcess, files: { console: string; report: string }): Promise<Boot> {
    let worked = 0;
    let idle = 0;
    for (;;) {
      await delay(pollMilliseconds);
      const cpuSeconds = await cpuSecondsOf(computer);
      idle = cpuSeconds > worked ? 0 : idle + 1;
      worked = cpuSeconds;
      const [console, text] = [await readText(files.console), await readText(files.report)];
      const report = parseGuestReport(text);
      const isOver = computer.exitCode !== null || cpuSeconds > CPU_SECONDS_MAX || idle > IDLE_POLLS_MAX;
      const isRefused = refusal.test(console);
      if (report !== undefined || isOver || isRefused) return { report, cpuSeconds, console };
    }
  }

  /** Returns the path of its control socket. */
  async #startTpm(more: readonly string[]): Promise<string> {
    const control = join(this.#options.folder, 'control');
    await rm(control, { force: true });
    const state = ['--tpmstate', `dir=${this.#tpmFolder}`, '--ctrl', `type=unixio,path=${control}`];
    this.#tpm = spawn('swtpm', ['socket', '--tpm2', ...state, ...more], { stdio: 'ignore' });
    while (this.#tpm.exitCode === null && !(await readable(control))) await delay(pollMilliseconds / 10);
    return control;
  }

  // The state of a running TPM, PCRs and counters among it, moves to another process, as when a virtual machine is migrated.
  async #continueTpm(control: string): Promise<void> {
    const state = join(this.#options.folder, 'volatile');
    await rm(state, { force: true });
    await run('swtpm_ioctl', ['--unix', control, '--save', 'volatile', state]);
    await this.#stop();
    const { path } = this.tpmAddress;
    await rm(path, { force: true });
    const next = await this.#startTpm(['--server', `type=unixio,path=${path}`]);
    await run('swtpm_ioctl', ['--unix', next, '--load', 'volatile', state]);
    await run('swtpm_ioctl', ['--unix', next, '-i']);
  }

  async #stop(): Promise<void> {
    for (const child of [this.#computer, this.#tpm]) if (child !== undefined) await ended(child, 'SIGKILL');
    this.#computer = undefined;
    this.#tpm = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stop();
  }
}

interface QemuFiles {
  readonly console: string;
  readonly report: string;
  readonly variables: string;
  readonly control: string;
  readonly disk: string;
}

function qemuArguments({ console, report, variables, control, disk }: QemuFiles): readonly string[] {
  const options = {
    machine: ['q35,smm=on,accel=tcg'],
    cpu: ['max'],
    m: ['512'],
    global: ['driver=cfi.pflash01,property=secure,value=on'],
    drive: [
      `if=pflash,format=raw,unit=0,file=${firmware.code},readonly=on`,
      `if=pflash,format=raw,unit=1,file=${variables}`,
      `if=none,id=disk,format=raw,readonly=on,file=fat:${disk}`,
    ],
    chardev: [`socket,id=tpm,path=${control}`],
    tpmdev: ['emulator,id=tpm0,chardev=tpm'],
    device: ['tpm-crb,tpmdev=tpm0', 'virtio-blk-pci,drive=disk,bootindex=1'],
    display: ['none'],
    serial: [`file:${console}`, `file:${report}`],
  };
  const words = Object.entries(options).flatMap(([option, values]) => values.flatMap((value) => [`-${option}`, value]));
  return ['-nodefaults', '-no-user-config', '-no-reboot', ...words];
}

/** Clock ticks per second of Linux in /proc, on every architecture that Node runs on. */
const ticks = 100;

async function cpuSecondsOf({ pid }: ChildProcess): Promise<number> {
  const fields = (await readText(`/proc/${pid}/stat`)).replace(/^.*\) /, '').split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / ticks;
}

/** Empty while there is no such file. */
async function readText(path: string): Promise<string> {
  // It is not there yet, or the process is gone.
  return readFile(path, 'latin1').catch(() => '');
}

async function readable(path: string): Promise<boolean> {
  return run('swtpm_ioctl', ['--unix', path, '-c']).then(
    () => true,
    // swtpm has not opened its socket yet.
    () => false,
  );
}

async function ended(child: ChildProcess, signal: 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill(signal);
  await exit;
}
