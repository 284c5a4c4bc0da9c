// For tests that need a TPM: a simulator in a temporary folder, or a reason to skip.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TpmSimulator } from './simulator.ts';
import { findTool } from './simulator-manufacture.ts';

const run = promisify(execFile);

/** The `skip` option of a test that needs these programs: false, or the reason. In CI nothing is skipped, so a missing program fails there. */
export async function skipWithout(...tools: readonly string[]): Promise<string | false> {
  return process.env['CI'] === 'true' ? false : skipWithoutOptional(...tools);
}

/** The same for programs that set-up installs on request only: where one is missing the test is skipped, in CI too. */
export async function skipWithoutOptional(...tools: readonly string[]): Promise<string | false> {
  const found = await Promise.all(tools.map(findTool));
  const missing = tools.filter((_, index) => found[index] === undefined);
  return missing.length === 0 ? false : `not installed: ${missing.join(', ')}`;
}

export const simulatorTools = ['swtpm', 'swtpm_setup', 'swtpm_localca'] as const;

export interface TestSimulators {
  readonly folder: string;
  /** Starts a TPM with this name; all of one set share a vendor CA unless another vendor is named. */
  start(name: string, vendor?: string): Promise<TpmSimulator>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A temporary folder with simulators in it; disposing stops them and removes the folder. */
export async function testSimulators(): Promise<TestSimulators> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-tpm-'));
  const started = new AsyncDisposableStack();
  started.defer(() => rm(folder, { recursive: true, force: true }));
  return {
    folder,
    start: async (name, vendor = 'vendor') => {
      const simulator = await TpmSimulator.start({
        stateFolder: join(folder, name),
        vendorFolder: join(folder, vendor),
      });
      return started.use(simulator);
    },
    [Symbol.asyncDispose]: () => started.disposeAsync(),
  };
}

/** Runs one of tpm2-tools against a simulator without a connected client of ours; returns its standard output. */
export async function tpm2(
  simulator: TpmSimulator,
  folder: string,
  tool: string,
  ...args: readonly string[]
): Promise<string> {
  const environment = { ...process.env, TPM2TOOLS_TCTI: `swtpm:path=${simulator.socketPath}` };
  const { stdout } = await run(`tpm2_${tool}`, [...args], { cwd: folder, env: environment });
  return stdout;
}
