// One hub a data folder. The lock is one of the operating system's, on a file that SQLite keeps open: it ends with the process that holds it,
// also when that one is killed, so nothing is ever left to clean up. The number beside it only tells people who holds it.
import { chmodSync, closeSync, existsSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { HubError } from './error.ts';
import { failureText } from './world-failure.ts';

const lockFileName = 'hub.lock';
const holderFileName = 'hub.pid';
/** SQLITE_BUSY: another connection, of this process or another, has the lock. */
const busy = 5;

export interface FolderLock extends Disposable {
  readonly folder: string;
}

/** Takes a folder that is there. Throws `folder-in-use`, with the process that has it, and `folder-unusable`. */
export function lockFolder(folder: string): FolderLock {
  const path = join(folder, lockFileName);
  if (!existsSync(folder)) throw new HubError('folder-unusable', `${folder} cannot be used: there is no such folder`);
  try {
    // Never opened again once it is there: a process that closes a file gives up its locks on it.
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
    // The number is for people only: whatever keeps it from being read, the folder is in use, and the refusal says that.
    return undefined;
  }
}

function unusable(folder: string, cause: unknown): HubError {
  return new HubError('folder-unusable', `${folder} cannot be used: ${failureText(cause)}`, { cause });
}
