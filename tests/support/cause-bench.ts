// Machines whose TPM lacks something: a simulator, the state folder of an agent over it, and agent and doctor as programs.
import { execFile, spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { testSimulators, type TestSimulators, tpm2 } from '@edgekeep/hardware/tpm/testing';
import type { TpmSimulator } from '@edgekeep/hardware/tpm/simulator';
import { z } from 'zod';
import { ending } from './child.ts';

const agentProgram = join(import.meta.dirname, '../../agent/src/main.ts');
const program = join(import.meta.dirname, '../../cli/src/main.ts');
const logKey = 'edgekeep.local/log+efc9aba5+AcHTRlKfyBzyarplhqhkqOvIaVtB9au17JCSTHzyzhMW';
/** Owns what is closed to the agent, where these tests run as root. */
const nobody = 65_534;

const report = z.object({
  findings: z.array(
    z.object({ subject: z.string(), state: z.string(), found: z.string(), next: z.string().optional() }),
  ),
});
const errorLine = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
const eventLine = z.looseObject({ kind: z.string(), code: z.string().optional() });

export interface Machine {
  readonly stateFolder: string;
  /** Without the right to pass over the modes of files. */
  readonly unprivileged?: boolean;
}

export type Settings = Readonly<Record<string, unknown>>;

export class CauseBench {
  readonly simulators: TestSimulators;
  readonly #started = new AsyncDisposableStack();
  #count = 0;

  private constructor(simulators: TestSimulators) {
    this.simulators = this.#started.use(simulators);
  }

  static async open(): Promise<CauseBench> {
    return new CauseBench(await testSimulators());
  }

  get folder(): string {
    return this.simulators.folder;
  }

  /** Closes it with this bench. */
  keep<T extends AsyncDisposable>(resource: T): T {
    return this.#started.use(resource);
  }

  /** A new TPM, and tpm2-tools on it. */
  async tpm(): Promise<{ readonly simulator: TpmSimulator; readonly run: (...words: string[]) => Promise<string> }> {
    this.#count += 1;
    const simulator = await this.simulators.start(`t${this.#count}`);
    return { simulator, run: (tool = '', ...words) => tpm2(simulator, this.folder, tool, ...words) };
  }

  /** The state folder of an agent that never reached its hub. */
  async machine(
    address: string,
    settings: { readonly root?: Settings; readonly start?: Settings } = {},
  ): Promise<Machine> {
    this.#count += 1;
    const stateFolder = join(this.folder, `state-${this.#count}`);
    await mkdir(stateFolder, { mode: 0o700 });
    const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    await writeFile(join(stateFolder, 'attestation.pem'), publicKey.export({ type: 'spki', format: 'pem' }));
    await writeFile(join(stateFolder, 'ca.pem'), authorityPem);
    // Nothing listens at port 1.
    const hub = { host: '127.0.0.1', port: 1, caFile: 'ca.pem', logKey, attestationKeyFiles: ['attestation.pem'] };
    const content = {
      deviceId: 'press-7',
      hub,
      rootOfTrust: { kind: 'tpm', address, ...settings.root },
      measuredStart: settings.start ?? {},
      maxReconnectSeconds: 0.1,
    };
    await writeFile(join(stateFolder, 'agent.json'), JSON.stringify(content), { mode: 0o600 });
    return { stateFolder };
  }

  /** The same, for an agent that may not use what is at `closed`. */
  async unprivileged(machine: Machine, closed: string): Promise<Machine> {
    if (process.getuid?.() !== 0) {
      await chmod(closed, 0);
      return machine;
    }
    await chmod(closed, 0o600);
    await chown(closed, nobody, nobody);
    return { ...machine, unprivileged: true };
  }

  async doctor({ stateFolder, unprivileged }: Machine): Promise<z.infer<typeof report>['findings']> {
    const words = [program, 'doctor', '--json', '--state', stateFolder];
    const [file, ...all] = commandOf(words, unprivileged);
    const { stdout } = await promisify(execFile)(file, all);
    return report.parse(JSON.parse(stdout)).findings;
  }

  /** Of an agent that does not start. */
  async runToItsEnd(machine: Machine) {
    const child = this.#spawn(machine);
    await using _ = ending(child);
    const ended = new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? -1)));
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    const events = out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => eventLine.parse(JSON.parse(line)));
    const last = err.trim().split('\n').at(-1) ?? '';
    return {
      status: await ended,
      error: last.startsWith('{') ? errorLine.parse(JSON.parse(last)).error : undefined,
      events,
    };
  }

  /** What an agent says, by code or kind, until it asks its hub, which is after it looked at its machine. */
  async runToItsHub(machine: Machine): Promise<readonly string[]> {
    const child = this.#spawn(machine);
    await using _ = ending(child);
    const complaint = text(child.stderr);
    const said: string[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const { kind, code } = eventLine.parse(JSON.parse(line));
      said.push(kind === 'failed' || kind === 'stopped' ? (code ?? kind) : kind);
      if (kind === 'hub-unreachable') return said;
    }
    throw new Error(`the agent ended; it said ${said.join()}: ${await complaint}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#started.disposeAsync();
  }

  #spawn({ stateFolder, unprivileged }: Machine) {
    const words = [agentProgram, '--state', stateFolder];
    const [file, ...all] = commandOf(words, unprivileged);
    return spawn(file, all, { stdio: ['ignore', 'pipe', 'pipe'] });
  }
}

// Root that has to obey the modes of files, and not another user: that one may have no way to this checkout.
function commandOf(words: readonly string[], unprivileged = false): readonly [string, ...string[]] {
  const own = [process.execPath, ...words] as const;
  return unprivileged ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--', ...own] : own;
}

// Any certificate: the agent never gets to the hub.
const authorityPem = await (async () => {
  const { makeTestAuthority } = await import('@edgekeep/wire/link/testing-authority');
  return (await makeTestAuthority('cause bench')).authorityPem;
})();
