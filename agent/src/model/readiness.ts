// Whether this machine can use a model, checked before its key is requested: each key is a lease and an entry in the hub's log. The missing
// thing is thrown as its own error; model-fault.ts names it. Nothing here is final: the next check-in checks again, and requests a key once
// it is repaired.
import { open, statfs } from 'node:fs/promises';
import { MemoryFile } from '@edgekeep/host/memory-file';
import { AgentError } from '../error.ts';
import type { GuardHost } from '../guard/host.ts';
import type { VerifiedModel } from './model.ts';

/** The checks of the machine, so that a test can replace them. */
export interface Machine {
  /** How many more bytes files in shared memory may take, in whole pages; undefined when there is no limit. */
  readonly sharedMemory: () => Promise<{ readonly freeBytes: number; readonly pageBytes: number } | undefined>;
  /** How many more bytes this process may take. */
  readonly memoryFree: () => number;
}

export const thisMachine: Machine = {
  async sharedMemory() {
    const { blocks, bavail, bsize } = await statfs('/dev/shm');
    return blocks === 0 ? undefined : { freeBytes: bavail * bsize, pageBytes: bsize };
  },
  memoryFree: () => process.availableMemory(),
};

/** Sockets, pipes and logs that the agent opens besides the model's files. */
const spareDescriptors = 16;

/** Throws what is missing for `model`; `guardHost` runs the guard behind its walls once. */
export async function assertReady(
  { name, files, use }: Pick<VerifiedModel, 'name' | 'files' | 'use'>,
  guardHost: () => Promise<GuardHost>,
  machine: Machine = thisMachine,
): Promise<void> {
  await assertDescriptors(name, files.length + spareDescriptors);
  await (await MemoryFile.create())[Symbol.asyncDispose]();
  const { freeBytes = Infinity, pageBytes = 1 } = (await machine.sharedMemory()) ?? {};
  const bytes = files.reduce((sum, { size }) => sum + Math.ceil(size / pageBytes) * pageBytes, 0);
  if (freeBytes < bytes)
    throw new AgentError(
      'shared-memory-short',
      `${name} takes ${bytes} bytes of /dev/shm, ${freeBytes} are free: free some, or make it larger (in a container --shm-size or shm_size; else mount -o remount,size=… /dev/shm)`,
    );
  // While the guard reads the files, there are two copies.
  const needed = use === 'guard' ? 2 * bytes : bytes;
  const free = machine.memoryFree();
  if (free < needed)
    throw new AgentError(
      'memory-short',
      `${name} takes ${needed} bytes of memory, ${free} are free: free some, or raise the memory limit of the container or unit (MemoryMax)`,
    );
  if (use === 'program') return;
  await guardHost();
}

async function assertDescriptors(name: string, count: number): Promise<void> {
  await using opened = new AsyncDisposableStack();
  for (let left = count; left > 0; left -= 1) {
    const one = await open('/dev/null').catch((cause: unknown) => {
      const message = `${name} takes ${count} more open files, and only ${count - left} could be opened: raise LimitNOFILE`;
      throw new AgentError('descriptors-short', message, { cause });
    });
    opened.use(one);
  }
}
