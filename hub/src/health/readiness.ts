// Is the hub ready: can it commit, is there disk space, does its log take entries, and is its clock right? A hub that answers but cannot write is not ready.
// Anybody may send probes without limit, so each result is shared and kept for a second.
import { writeUnchanged } from '../revocation/store.ts';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { HubError } from '../common/error.ts';
import type { AuditLog } from '../audit/log.ts';
import type { Database } from '../store/database.ts';
import type { HubTime } from '../store/hub-time.ts';

export interface Failing {
  readonly resource: 'store' | 'disk' | 'log' | 'clock';
  readonly message: string;
}

export interface ReadinessDependencies {
  readonly database: Pick<Database, 'writeAsHub'>;
  readonly log: Pick<AuditLog, 'failure' | 'wake'>;
  readonly time: Pick<HubTime, 'problem'>;
  /** The data folder. */
  readonly folder: string;
}

const keptMs = 1_000;
const COMMIT_MS_MAX = 5_000;
// A commit and the log's next tiles need some.
const FREE_BYTES_MIN = 1024 * 1024;
const folders = ['', 'log', 'blobs'] as const;

export class Readiness {
  readonly #dependencies: ReadinessDependencies;
  #look: Promise<readonly Failing[]> | undefined;
  #atMs = 0;

  constructor(dependencies: ReadinessDependencies) {
    this.#dependencies = dependencies;
  }

  /** The reasons why the hub is not ready; empty when it is. */
  async failing(): Promise<readonly Failing[]> {
    const nowMs = performance.now();
    if (this.#look === undefined || nowMs - this.#atMs > keptMs) {
      this.#atMs = nowMs;
      this.#look = this.#lookNow();
    }
    return this.#look;
  }

  async #lookNow(): Promise<readonly Failing[]> {
    const found = await Promise.all([this.#disk(), this.#store(), this.#log(), this.#clock()]);
    return found.filter((each) => each !== undefined);
  }

  // Updates an existing row with the same value: the commit still waits for the disk.
  async #store(): Promise<Failing | undefined> {
    const commit = this.#dependencies.database.writeAsHub(writeUnchanged);
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`no commit within ${COMMIT_MS_MAX / 1_000} s`)), COMMIT_MS_MAX);
    });
    try {
      await Promise.race([commit, late]);
      return undefined;
    } catch (error) {
      return { resource: isAboutDisk(error) ? 'disk' : 'store', message: `commits fail: ${deepest(error)}` };
    } finally {
      clearTimeout(timer);
    }
  }

  async #disk(): Promise<Failing | undefined> {
    for (const name of folders) {
      try {
        const { bavail, bsize } = await statfs(join(this.#dependencies.folder, name));
        if (bavail * bsize >= FREE_BYTES_MIN) continue;
        const where = name === '' ? 'the data folder' : `${name}/`;
        return { resource: 'disk', message: `${where}: less than ${FREE_BYTES_MIN / 2 ** 20} MiB are free` };
      } catch (error) {
        // An empty folder.
        if (error instanceof Error && 'code' in error && error.code === 'ENOENT' && name !== '') continue;
        return { resource: 'disk', message: `the data folder cannot be read: ${deepest(error)}` };
      }
    }
    return undefined;
  }

  async #clock(): Promise<Failing | undefined> {
    const message = this.#dependencies.time.problem();
    return message === undefined ? undefined : { resource: 'clock', message };
  }

  async #log(): Promise<Failing | undefined> {
    const { log } = this.#dependencies;
    const { failure } = log;
    if (failure === undefined) return undefined;
    // The log tries again when an entry comes, but a hub that is not ready gets no entries.
    log.wake();
    return { resource: 'log', message: `entries do not enter the log: ${deepest(failure)}` };
  }
}

function causes(error: unknown): readonly Error[] {
  return error instanceof Error ? [error, ...causes(error.cause)] : [];
}

// An operator acts on the first failure. Paths are left out of a response that anybody may read.
function deepest(error: unknown): string {
  // Its cause has the address of the server.
  const unavailable = causes(error).find((each) => each instanceof HubError && each.code === 'store-unavailable');
  if (unavailable !== undefined) return unavailable.message;
  return (causes(error).at(-1)?.message ?? String(error)).replaceAll(/'[^']*\/[^']*'/g, 'a file').slice(0, 200);
}

function isAboutDisk(error: unknown): boolean {
  return causes(error).some(({ message }) => /full|disk I\/O|ENOSPC|EDQUOT|EROFS|readonly/i.test(message));
}
