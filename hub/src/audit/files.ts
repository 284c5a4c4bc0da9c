// The file operations in the log's folder, few and small, so that a test can simulate a power cut between any two of them.
import { makeFolder } from '@edgekeep/host/make-folder';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncFolder } from '@edgekeep/host/durable-file';

export interface LogFiles {
  /** Undefined when the file does not exist. */
  read(path: string): Promise<Uint8Array | undefined>;
  /** Makes the folder and missing parents. Returns the first one that was missing, or undefined. */
  makeFolder(path: string): Promise<string | undefined>;
  /** Writes a new or emptied file and waits until its bytes are on disk. */
  write(path: string, bytes: Uint8Array): Promise<void>;
  /** Waits until the names in a folder are on disk. */
  syncFolder(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** Removes a folder and its content; does nothing when it does not exist. */
  removeFolder(path: string): Promise<void>;
}

export const diskFiles: LogFiles = {
  async read(path) {
    try {
      return await readFile(path);
    } catch (error) {
      if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
        return undefined;
      }
      throw error;
    }
  },
  makeFolder,
  async write(path, bytes) {
    await using file = await open(path, 'w');
    await file.writeFile(bytes);
    await file.sync();
  },
  syncFolder,
  rename: (from, to) => rename(from, to),
  removeFolder: (path) => rm(path, { recursive: true, force: true }),
};

/** Makes a folder that survives a power cut: every folder that got a new name in it is synced. */
export async function makeDurableFolder(files: LogFiles, path: string): Promise<void> {
  const first = await files.makeFolder(path);
  if (first === undefined) return;
  for (let folder = dirname(path); ; folder = dirname(folder)) {
    await files.syncFolder(folder);
    if (folder === dirname(first) || folder === dirname(folder)) return;
  }
}
