// A TPM in software for tests and demonstrations: an swtpm process over a state folder, made once with endorsement certificates from a
// vendor CA that several simulators share. It proves nothing about the machine it runs on.
import { makeFolder } from '@edgekeep/host/make-folder';
import { type ChildProcess, spawn } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { getRandom, shutdown } from '@edgekeep/core/tpm/commands/lifecycle';
import { HardwareError } from '../error.ts';
import { TpmClient } from './client.ts';
import { manufacture, toolFailure, vendorCertificates } from './simulator-manufacture.ts';
import { openTransport, type TpmAddress } from './transport.ts';

export interface SimulatorOptions {
  /** Absolute; holds the TPM's state and its sockets. A TPM is manufactured there if none exists. */
  readonly stateFolder: string;
  /** Absolute; the vendor CA's keys and certificates. Simulators that share it have the same vendor. */
  readonly vendorFolder: string;
}

/** Unix socket paths must fit into 108 bytes, with room for the name of the control socket. */
const SOCKET_PATH_BYTES_MAX = 100;
const START_MILLISECONDS_MAX = 10_000;
const pollMilliseconds = 10;
/** CMD_SHUTDOWN of swtpm's control channel. */
const shutdownRequest = Uint8Array.of(0, 0, 0, 3);

export class TpmSimulator {
  readonly #options: SimulatorOptions;
  #process: ChildProcess;

  private constructor(options: SimulatorOptions, process: ChildProcess) {
    this.#options = options;
    this.#process = process;
  }

  /** Manufactures the TPM if necessary and powers it on. Throws `simulator-missing` or `simulator-failed`. */
  static async start(options: SimulatorOptions): Promise<TpmSimulator> {
    const { stateFolder, vendorFolder } = options;
    for (const folder of [stateFolder, vendorFolder]) {
      // swtpm given a relative folder goes into failure mode.
      if (!isAbsolute(folder)) throw new HardwareError('simulator-failed', `expected an absolute folder: ${folder}`);
    }
    if (Buffer.byteLength(socketPathOf(options)) > SOCKET_PATH_BYTES_MAX) {
      throw new HardwareError(
        'simulator-failed',
        `the path of the state folder is too long for a socket: ${stateFolder}`,
      );
    }
    await makeFolder(stateFolder, { mode: 0o700 });
    await makeFolder(vendorFolder, { mode: 0o700 });
    await manufacture(stateFolder, vendorFolder);
    return new TpmSimulator(options, await powerOn(options));
  }

  get socketPath(): string {
    return socketPathOf(this.#options);
  }

  get address(): TpmAddress {
    return { kind: 'unix', path: this.socketPath };
  }

  /** PEM of the vendor's root and intermediate CA, to which an endorsement certificate chains. */
  async vendorCertificates(): Promise<{ readonly root: string; readonly intermediate: string }> {
    return vendorCertificates(this.#options.vendorFolder);
  }

  /** Off and on again: PCRs start over, transient objects are gone, resetCount increases. Open connections break. */
  async powerCycle(): Promise<void> {
    await this.powerOff();
    await this.powerOn();
  }

  /** Powers a stopped simulator on again, with its state unchanged. */
  async powerOn(): Promise<void> {
    this.#process = await powerOn(this.#options);
  }

  async powerOff(): Promise<void> {
    await this.#announceShutdown();
    await ended(this.#process, 'SIGTERM');
  }

  /** Cuts the power: the TPM gets no notice, as in a power failure. */
  async cutPower(): Promise<void> {
    await ended(this.#process, 'SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.powerOff();
  }

  /** Without TPM2_Shutdown the next start counts as unorderly and `clockInfo.safe` is false. One that does not answer is stopped anyway. */
  async #announceShutdown(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const attempt = async () => {
      await using client = new TpmClient(await openTransport(this.address));
      await client.execute(shutdown('clear'));
    };
    // A client that is still connected holds the only connection: do not wait for it.
    await Promise.race([attempt().catch(() => undefined), delay(500, undefined, { ref: false })]);
  }
}

function socketPathOf({ stateFolder }: SimulatorOptions): string {
  return join(stateFolder, 'tpm.sock');
}

async function powerOn(options: SimulatorOptions): Promise<ChildProcess> {
  const socket = socketPathOf(options);
  const control = `${socket}.ctrl`;
  await stopLeftover(control);
  await rm(socket, { force: true });
  const state = ['--tpmstate', `dir=${options.stateFolder}`];
  const sockets = ['--server', `type=unixio,path=${socket}`, '--ctrl', `type=unixio,path=${control}`];
  const start = ['--flags', 'not-need-init,startup-clear'];
  const child = spawn('swtpm', ['socket', '--tpm2', ...state, ...sockets, ...start], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let complaint = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    if (complaint.length < 2000) complaint += chunk.toString();
  });
  let missing: Error | undefined;
  child.once('error', (error) => {
    missing = error;
  });
  for (let waited = 0; waited < START_MILLISECONDS_MAX; waited += pollMilliseconds) {
    if (missing !== undefined) throw toolFailure('swtpm', missing);
    if (child.exitCode !== null)
      throw new HardwareError('simulator-failed', `swtpm ended at once: ${complaint.trim()}`);
    if (await answers(socket)) return child;
    await delay(pollMilliseconds);
  }
  await ended(child, 'SIGKILL');
  throw new HardwareError('simulator-failed', `swtpm did not open ${socket} within ${START_MILLISECONDS_MAX / 1000} s`);
}

async function answers(path: string): Promise<boolean> {
  try {
    await using client = new TpmClient(await openTransport({ kind: 'unix', path }));
    await client.execute(getRandom(8));
    return true;
  } catch (error) {
    if (error instanceof HardwareError && error.code === 'tpm-unreachable') return false;
    throw error;
  }
}

/** Ends an swtpm that outlived the program that started it: it would block the state folder. */
async function stopLeftover(control: string): Promise<void> {
  await new Promise<void>((resolve) => {
    const socket = connect({ path: control });
    socket.once('connect', () => socket.write(shutdownRequest));
    socket.once('error', () => resolve());
    socket.once('close', () => resolve());
    socket.resume();
  });
}

async function ended(child: ChildProcess, signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
  });
  child.kill(signal);
  await exit;
}
