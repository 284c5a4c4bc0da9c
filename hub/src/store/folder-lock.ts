// One hub per data folder. The lock is an operating system lock on a file that SQLite keeps open: it ends with the process that holds it,
// also when that process is killed, so there is never anything to clean up. The number beside it only tells people which process holds it.
import { chmodSync, closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HubError } from '../common/error.ts';
import { failureText } from '../common/world-failure.ts';

export const lockFileName = 'hub.lock';
const holderFileName = 'hub.pid';
/** SQLITE_BUSY: another connection, of this process or another, has the lock. */
const busy = 5;

export interface FolderLock extends Disposable {
  readonly folder: string;
}

/** Locks an existing folder. Throws `folder-in-use`, with the process that holds it, and `folder-unusable`. */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, lockFileName);
  if (!existsSync(folder)) throw new HubError('folder-unusable', `${folder} cannot be used: there is no such folder`);
  try {
    // Do not open an existing lock file: a process that closes a file releases its locks on it.
    if (!existsSync(path)) closeSync(openSync(path, 'a', 0o600));
  } catch (cause) {
    throw unusable(folder, cause);
  }
  const database = openLock(folder, path);
  try {
    writeFileSync(join(folder, holderFileName), `${process.pid}\n`, { mode: 0o600 });
    chmodSync(join(folder, holderFileName), 0o600);
  } catch (cause) {
    database.close();
    throw unusable(folder, cause);
  }
  return {
    folder,
    [Symbol.dispose]: () => {
      if (!database.isOpen) return;
      rmSync(join(folder, holderFileName), { force: true });
      database.close();
    },
  };
}

function openLock(folder: string, path: string): DatabaseSync {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('PRAGMA journal_mode=MEMORY; PRAGMA locking_mode=EXCLUSIVE; BEGIN EXCLUSIVE');
    return database;
  } catch (cause) {
    database?.close();
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === busy) {
      const holder = holderOf(folder);
      const who = holder === undefined ? 'another process' : `process ${holder}`;
      throw new HubError('folder-in-use', `${folder} is in use by ${who}: end it first, or use another folder`);
    }
    throw unusable(folder, cause);
  }
}

function holderOf(folder: string): number | undefined {
  try {
    const text = readFileSync(join(folder, holderFileName), 'utf8').trim();
    return /^\d{1,10}$/.test(text) ? Number(text) : undefined;
  } catch {
    // The number is only for people. If it cannot be read for any reason, the folder is in use and the refusal says so.
    return undefined;
  }
}

function unusable(folder: string, cause: unknown): HubError {
  return new HubError('folder-unusable', `${folder} cannot be used: ${failureText(cause)}`, { cause });
}
