// How guards of this machine run. The search for working walls runs once per process; if walls are missing, it is repeated later.
import type { AgentSettings } from '../settings.ts';
import type { GuardEndReason } from './process.ts';
import { guardProgram, type SandboxedProgram } from './program.ts';
import type { Sandbox } from './sandbox.ts';
import { findSandbox } from './sandbox-probe.ts';
import { findUnitWalls, guardUnit } from './unit.ts';

/** What guards of this machine run as, and their limits; those left out have defaults. */
export interface GuardHost {
  readonly program: SandboxedProgram;
  readonly sandbox: Sandbox;
  /** The folder of the units' sockets, where systemd runs guards. */
  readonly unitFolder?: string | undefined;
  readonly maxReadyMs?: number | undefined;
  readonly maxInferenceMs?: number | undefined;
  readonly maxMemoryBytes?: number | undefined;
  readonly onEnd?: ((reason: GuardEndReason) => void) | undefined;
}

/** A wall may be missing only for a moment (no memory, no namespace left): it is tried again after this time. */
const DEGRADED_MS_MAX = 600_000;

/** Keeps the result as long as it is useful: a failure never, a sandbox with missing walls for a time. */
export class SandboxFinder {
  readonly #find: () => Promise<Sandbox>;
  readonly #keepMs: number;
  readonly #nowMs: () => number;
  #finding: Promise<Sandbox> | undefined;
  #found: { readonly sandbox: Sandbox; readonly atMs: number } | undefined;

  /** `keepMs` is how long a sandbox with missing walls is kept; `nowMs` is monotonic. */
  constructor(find: () => Promise<Sandbox>, keepMs = DEGRADED_MS_MAX, nowMs: () => number = () => performance.now()) {
    this.#find = find;
    this.#keepMs = keepMs;
    this.#nowMs = nowMs;
  }

  async sandbox(): Promise<Sandbox> {
    const found = this.#found;
    if (found !== undefined) {
      const isWhole = found.sandbox.degraded.length === 0;
      if (isWhole || this.#nowMs() - found.atMs < this.#keepMs) return found.sandbox;
    }
    // Guards that start together wait for one search.
    this.#finding ??= this.#search();
    return this.#finding;
  }

  async #search(): Promise<Sandbox> {
    try {
      const sandbox = await this.#find();
      this.#found = { sandbox, atMs: this.#nowMs() };
      return sandbox;
    } finally {
      this.#finding = undefined;
    }
  }
}

// Agents in one process (the demo) share the machine, and so its walls.
let finder: SandboxFinder | undefined;

/** The guard of this source tree behind every wall that the machine provides, with the limits of the settings. */
export async function guardHostOf({ guard, models }: Pick<AgentSettings, 'guard' | 'models'>): Promise<GuardHost> {
  const program = guardProgram();
  const maxProbeMs = guard.maxProbeSeconds * 1_000;
  const { unitFolder } = guard;
  const served = models.find(({ use }) => use !== 'program')?.name ?? '';
  finder ??=
    unitFolder === undefined
      ? new SandboxFinder(async () => findSandbox(program, { maxProbeMs }))
      : // The unit's file has its walls; asking the unit again would replace a running guard.
        new SandboxFinder(async () => findUnitWalls(guardUnit(unitFolder, served), maxProbeMs), Infinity);
  return {
    program,
    sandbox: await finder.sandbox(),
    unitFolder,
    maxReadyMs: guard.maxReadySeconds * 1_000,
    maxInferenceMs: guard.maxInferenceSeconds * 1_000,
    maxMemoryBytes: guard.maxMemoryMebibytes === undefined ? undefined : guard.maxMemoryMebibytes * 1024 * 1024,
  };
}
