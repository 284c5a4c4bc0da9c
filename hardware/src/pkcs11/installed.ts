// The PKCS#11 modules that are installed on a machine: those in p11-kit's module files, and those of the usual vendors' packages.
import { readdir, readFile, stat } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { Pkcs11Module } from './module.ts';
import { listTokens, type TokenDescription } from './slots.ts';

const libraryFolders = ['/usr/lib', '/usr/lib64', '/usr/local/lib'];
const multiarch = ['', 'x86_64-linux-gnu', 'aarch64-linux-gnu', 'arm-linux-gnueabihf', 'riscv64-linux-gnu'];
/** File name and purpose. */
const known: Readonly<Record<string, string>> = {
  'libsss_pkcs11.so': 'NXP SE05x',
  'libcryptoauth.so': 'Microchip ATECC608',
  'libtpm2_pkcs11.so.1': 'TPM 2.0',
  'opensc-pkcs11.so': 'smart cards (OpenSC)',
  'softhsm/libsofthsm2.so': 'SoftHSM2, keys in files: for tests only',
};
const moduleFileFolders = ['/etc/pkcs11/modules', '/usr/share/p11-kit/modules'];
/** A module file is a few lines. */
const MODULE_FILE_BYTES_MAX = 64 * 1024;

export interface InstalledModule {
  readonly path: string;
  readonly purpose: string;
}

/** Sorted by path; no module is loaded. */
export async function findModules(): Promise<readonly InstalledModule[]> {
  const folders = libraryFolders.flatMap((folder) => multiarch.map((part) => join(folder, part)));
  const usual = folders.flatMap((folder) =>
    Object.entries(known).map(([name, purpose]) => ({ path: join(folder, name), purpose })),
  );
  const named = (await registeredPaths()).map((path) => ({ path, purpose: 'registered with p11-kit' }));
  const there = await Promise.all([...usual, ...named].map(async (each) => ((await isFile(each.path)) ? [each] : [])));
  // The first entry of a path has the better name.
  const byPath = new Map(
    there
      .flat()
      .toReversed()
      .map((each) => [each.path, each]),
  );
  return [...byPath.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

/**
 * Loads a module and returns its initialised tokens; uses no PIN. Throws `pkcs11-binding-missing`, `pkcs11-module-failed` or
 * `pkcs11-failed`.
 */
export async function describeTokens(
  path: string,
): Promise<readonly (TokenDescription & { readonly slot: number; readonly pinLocked: boolean })[]> {
  await using module = await Pkcs11Module.open(path);
  const tokens = await module.run('listing tokens', (cryptoki) => listTokens(cryptoki));
  return tokens
    .filter(({ initialized }) => initialized)
    .map(({ description, slot, pinLocked }) => ({ ...description, slot, pinLocked }));
}

/** `module:` lines of p11-kit's module files (pkcs11.conf(5)). */
async function registeredPaths(): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of moduleFileFolders) {
    for (const name of (await orIfMissing(readdir(folder), [])).filter((each) => each.endsWith('.module'))) {
      const text = (await orIfMissing(readFile(join(folder, name), 'utf8'), '')).slice(0, MODULE_FILE_BYTES_MAX);
      const path = /^\s*module:\s*(\S+)\s*$/m.exec(text)?.[1];
      if (path === undefined) continue;
      const folders = libraryFolders.flatMap((each) => multiarch.map((part) => join(each, part, 'pkcs11')));
      found.push(...(isAbsolute(path) ? [path] : folders.map((each) => join(each, path))));
    }
  }
  return found;
}

async function isFile(path: string): Promise<boolean> {
  return (await orIfMissing(stat(path), undefined))?.isFile() === true;
}
