// Files and folders of makers' certificates on disk: the hub reads its own at start, `edgekeep vendor-root import` and `edgekeep doctor`
// read the operator's. Each unusable certificate is reported with its file and place; the others are returned.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { CERTIFICATE_FILE_LENGTH_MAX, readCertificateFile } from '@edgekeep/core/identity/certificate-file';
import { authorityProblem } from '@edgekeep/core/identity/maker-authority';

/** The extensions of certificate files. */
const endings: readonly string[] = ['.pem', '.crt', '.cer', '.der', '.p7b', '.p7c'];

export interface CertificateFile {
  /** As it was given, or found in the folder. */
  readonly path: string;
  readonly certificates: readonly Certificate[];
  /** Unusable entries of the file, each with its path and place. */
  readonly problems: readonly string[];
  /** Not opened, because its name does not look like a certificate file. */
  readonly ignored: boolean;
}

/** A maker's package has a folder for each family, with folders inside. */
const FOLDERS_DEEP_MAX = 6;

/**
 * Each file, and every file in each folder and its subfolders. A path that does not exist, or a folder that cannot be listed, throws as
 * `readdir`.
 */
export async function readCertificateFiles(paths: readonly string[]): Promise<readonly CertificateFile[]> {
  const files: CertificateFile[] = [];
  for (const path of paths) {
    const found = (await stat(path)).isDirectory() ? await readTree(path, FOLDERS_DEEP_MAX) : [await readNamed(path)];
    files.push(...found);
  }
  return files;
}

/** Every file of one folder, in the order of their names. Throws as `readdir`. */
export async function readCertificateFolder(folder: string): Promise<readonly CertificateFile[]> {
  return readTree(folder, 0);
}

async function readTree(folder: string, deep: number): Promise<readonly CertificateFile[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const files: CertificateFile[] = [];
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const { name } = entry;
    const path = join(folder, name);
    if (name.startsWith('.')) continue;
    if (entry.isDirectory()) {
      if (deep > 0) files.push(...(await readTree(path, deep - 1)));
    } else if (endings.some((ending) => name.toLowerCase().endsWith(ending))) files.push(await readNamed(path));
    else files.push({ path, certificates: [], problems: [], ignored: true });
  }
  return files;
}

async function readNamed(path: string): Promise<CertificateFile> {
  try {
    const { size } = await stat(path);
    if (size > CERTIFICATE_FILE_LENGTH_MAX)
      return {
        path,
        certificates: [],
        problems: [`${path}: ${size} bytes, expected at most ${CERTIFICATE_FILE_LENGTH_MAX}`],
        ignored: false,
      };
    const read = readCertificateFile(await readFile(path), path);
    const certificates: Certificate[] = [];
    const problems = [...read.problems];
    for (const certificate of read.certificates) {
      const problem = authorityProblem(certificate);
      if (problem === undefined) certificates.push(certificate);
      else problems.push(`${path}: ${problem}`);
    }
    return { path, certificates, problems, ignored: false };
  } catch (error) {
    // A file that cannot be read (EACCES, EISDIR, EIO) is reported by name; the other files are read.
    if (!isSystemError(error)) throw error;
    return { path, certificates: [], problems: [`${path}: ${error.message}`], ignored: false };
  }
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
