// Which files of the state folder were lost (spec/agent.md, "What the state folder holds"). A file that is whole in one of its two copies is put
// back; what is lost in both is reported to the hub, and until the hub has answered the device trusts nothing that depends on it.
import { messageOf } from '@edgekeep/core/message-of';
import type { LostFile, LostFileName } from '@edgekeep/core/attest/state-recovery-subject';
import { type EitherOptions, readEither, setBothAside } from '@edgekeep/host/two-copies';
import { AgentError } from './error.ts';
import type { Emit } from './event.ts';

/** Every device that has enrolled has these: one that is missing is lost. */
const alwaysThere: ReadonlySet<LostFileName> = new Set(['checkpoint', 'versions', 'witness-key']);

export interface KeptStateDependencies {
  /** The hub has registered this device. */
  readonly isEnrolled: boolean;
  readonly emit: Emit;
}

export class KeptState {
  readonly #dependencies: KeptStateDependencies;
  readonly #lost = new Map<LostFileName, LostFile['how']>();
  readonly #damaged = new Set<string>();

  /** Without dependencies it is the state of a device that has not enrolled. */
  constructor(dependencies: KeptStateDependencies = { isEnrolled: false, emit: () => undefined }) {
    this.#dependencies = dependencies;
  }

  /** What was lost and is not settled, in a fixed order. */
  get lost(): readonly LostFile[] {
    return [...this.#lost].map(([file, how]) => ({ file, how })).toSorted((a, b) => (a.file < b.file ? -1 : 1));
  }

  isLost(file: LostFileName): boolean {
    return this.#lost.has(file);
  }

  /** The file's content; undefined when there is none, or when it was lost. An AgentError of `parse` is thrown. */
  async read<T>(file: LostFileName, path: string, options: EitherOptions<T>): Promise<T | undefined> {
    const { emit, isEnrolled } = this.#dependencies;
    const found = await readEither(path, options);
    if (found.kind === 'found') {
      if (found.repaired) emit({ kind: 'state-repaired', file: path });
      return found.value;
    }
    if (found.kind === 'damaged') {
      // It was written for something else than what the settings say now.
      if (found.cause instanceof AgentError) throw found.cause;
      this.#damaged.add(path);
      this.lose(file, 'damaged', `${path}: ${messageOf(found.cause)}, and its second copy is no better`);
    } else if (isEnrolled && alwaysThere.has(file)) {
      this.lose(file, 'missing', `${path} is not there, and this device has enrolled`);
    }
    return undefined;
  }

  lose(file: LostFileName, how: LostFile['how'], why: string): void {
    this.#lost.set(file, how);
    this.#dependencies.emit({ kind: 'state-lost', file, how, why });
  }

  /** The hub has answered, and what could be restored is on disk: damaged files that nobody wrote again are moved out of the way. */
  async settle(written: readonly string[]): Promise<void> {
    for (const path of this.#damaged) if (!written.includes(path)) await setBothAside(path);
    this.#damaged.clear();
    this.#lost.clear();
  }
}
