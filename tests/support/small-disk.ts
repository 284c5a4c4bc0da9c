// A file system of a few megabytes that a test can fill: a tmpfs, which only root may mount.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The `skip` option of a test that needs one: false, or the reason. */
export async function skipWithoutSmallDisk(): Promise<string | false> {
  // In CI nothing is skipped: a machine that cannot mount fails there.
  if (process.env['CI'] === 'true') return false;
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'only root on Linux can mount a small disk';
  const probe = await mkdtemp(join(tmpdir(), 'edgekeep-disk-'));
  try {
    await using disk = await SmallDisk.mount(probe, 1);
    return disk.folder === probe ? false : 'not mounted';
  } catch {
    return 'this machine does not let root mount a tmpfs';
  } finally {
    await rm(probe, { recursive: true, force: true });
  }
}

export class SmallDisk {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async mount(folder: string, megabytes: number): Promise<SmallDisk> {
    await mkdir(folder, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', folder], { stdio: 'pipe' });
    return new SmallDisk(folder);
  }

  /** Leaves no byte free. */
  async fill(): Promise<void> {
    for (const chunk of [1 << 16, 1 << 12, 1]) {
      for (let at = 0; ; at += 1) {
        try {
          await writeFile(join(this.folder, `filler-${chunk}-${at}`), Buffer.alloc(chunk));
        } catch (error) {
          if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') break;
          throw error;
        }
      }
    }
  }

  /** Removes the fillers again. */
  async free(): Promise<void> {
    execFileSync('find', [this.folder, '-maxdepth', '1', '-name', 'filler-*', '-delete']);
  }

  async makeReadOnly(): Promise<void> {
    execFileSync('mount', ['-o', 'remount,ro', this.folder], { stdio: 'pipe' });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    execFileSync('umount', ['-l', this.folder], { stdio: 'pipe' });
  }
}
