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
  /** A second disk, the device's own, and what must have happened there for the machine to stop; left out: nothing runs after the report. */
  readonly device?: { readonly image: string; readonly until: (output: string) => boolean };
}

export interface Boot {
  /** Undefined when the machine did not reach the guest: its firmware or a loader refused. */
  readonly report: GuestReport | undefined;
  /** Of QEMU. */
  readonly cpuSeconds: number;
  /** What firmware and loaders wrote on the console. */
  readonly console: string;
  /** What the programs of the device's own disk wrote; empty without one. */
  readonly output: string;
}

/** A boot takes 13 to 20 seconds of CPU time: this is its limit, which a busy machine does not reach sooner. */
const CPU_SECONDS_MAX = 60;
/** With Node and the agent in it a boot takes 60 to 80. */
const DEVICE_CPU_SECONDS_MAX = 400;
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
  async boot(order: BootOrder): Promise<Boot> {
    await this.#stop();
    const { disk, variables, device } = order;
    const { folder } = this.#options;
    const files = { console: join(folder, 'console'), report: join(folder, 'report'), output: join(folder, 'output') };
    for (const file of Object.values(files)) await rm(file, { force: true });
    const variablesCopy = join(folder, 'vars');
    await copyFile(variables, variablesCopy);
    const control = await this.#startTpm([]);
    const computer = spawn(
      'qemu-system-x86_64',
      qemuArguments({ ...files, control, disk, variables: variablesCopy, device: device?.image }),
      { stdio: 'ignore' },
    );
    this.#computer = computer;
    const boot = await untilReported(computer, files, device?.until);
    // Killed, and not shut down: QEMU would end the TPM too.
    await ended(computer, 'SIGKILL');
    if (boot.report !== undefined) await this.#continueTpm(control);
    return boot;
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

interface OutputFiles {
  readonly console: string;
  readonly report: string;
  readonly output: string;
}

async function untilReported(
  computer: ChildProcess,
  files: OutputFiles,
  until: (output: string) => boolean = () => true,
): Promise<Boot> {
  let worked = 0;
  let idle = 0;
  for (;;) {
    await delay(pollMilliseconds);
    const cpuSeconds = await cpuSecondsOf(computer);
    idle = cpuSeconds > worked ? 0 : idle + 1;
    worked = cpuSeconds;
    const [console, text] = [await readText(files.console), await readText(files.report)];
    const output = await readText(files.output);
    const report = parseGuestReport(text);
    const maxCpuSeconds = report === undefined ? CPU_SECONDS_MAX : DEVICE_CPU_SECONDS_MAX;
    const isOver = computer.exitCode !== null || cpuSeconds > maxCpuSeconds || idle > IDLE_POLLS_MAX;
    const isRefused = report === undefined && refusal.test(console);
    const isDone = report !== undefined && until(output);
    if (isDone || isOver || isRefused) return { report, cpuSeconds, console, output };
  }
}

interface QemuFiles extends OutputFiles {
  readonly variables: string;
  readonly control: string;
  readonly disk: string;
  readonly device: string | undefined;
}

function qemuArguments({ console, report, output, variables, control, disk, device }: QemuFiles): readonly string[] {
  const options = {
    machine: ['q35,smm=on,accel=tcg'],
    cpu: ['max'],
    m: ['512'],
    global: ['driver=cfi.pflash01,property=secure,value=on'],
    drive: [
      `if=pflash,format=raw,unit=0,file=${firmware.code},readonly=on`,
      `if=pflash,format=raw,unit=1,file=${variables}`,
      `if=none,id=disk,format=raw,readonly=on,file=fat:${disk}`,
      ...(device === undefined ? [] : [`if=none,id=device,format=raw,file=${device}`]),
    ],
    chardev: [`socket,id=tpm,path=${control}`],
    tpmdev: ['emulator,id=tpm0,chardev=tpm'],
    // The guest reaches 127.0.0.1 of this machine as 10.0.2.2.
    netdev: device === undefined ? [] : ['user,id=network'],
    device: [
      'tpm-crb,tpmdev=tpm0',
      'virtio-blk-pci,drive=disk,bootindex=1',
      ...(device === undefined ? [] : ['virtio-blk-pci,drive=device', 'virtio-net-pci,netdev=network,romfile=']),
    ],
    display: ['none'],
    serial: [console, report, output].map((file) => `file:${file}`),
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
