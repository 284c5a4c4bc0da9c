// Files and folders of makers' certificates on a disk: the hub reads its own at start, `edgekeep vendor-root import` and `edgekeep doctor` read the
// operator's. Each certificate that cannot be used is said with its file and place; the others are given.
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { certificateFileLengthMax, readCertificateFile } from '@edgekeep/core/identity/certificate-file';
import { authorityProblem } from '@edgekeep/core/identity/maker-authority';

/** The endings of file names that say "certificates". */
const endings: readonly string[] = ['.pem', '.crt', '.cer', '.der', '.p7b', '.p7c'];

export interface CertificateFile {
  /** As it was given, or found in the folder. */
  readonly path: string;
  readonly certificates: readonly Certificate[];
  /** What in the file cannot be used, each with the path and its place in it. */
  readonly problems: readonly string[];
}

/** Each file, or what is in each folder (not in folders below it). A path that is not there, or a folder that cannot be listed, throws as `readdir`. */
export async function readCertificateFiles(paths: readonly string[]): Promise<readonly CertificateFile[]> {
  const files: CertificateFile[] = [];
  for (const path of paths) {
    const found = (await stat(path)).isDirectory() ? await readCertificateFolder(path) : [await readNamed(path)];
    files.push(...found);
  }
  return files;
}

/** Every file of a folder, in the order of their names. Throws as `readdir`. */
export async function readCertificateFolder(folder: string): Promise<readonly CertificateFile[]> {
  const names = (await readdir(folder)).filter((name) => !name.startsWith('.')).toSorted();
  const files: CertificateFile[] = [];
  for (const name of names) {
    const path = join(folder, name);
    const other = `${path}: not read: its name ends in none of ${endings.join(', ')}`;
    files.push(
      endings.some((ending) => name.toLowerCase().endsWith(ending))
        ? await readNamed(path)
        : { path, certificates: [], problems: [other] },
    );
  }
  return files;
}

async function readNamed(path: string): Promise<CertificateFile> {
  try {
    const { size } = await stat(path);
    if (size > certificateFileLengthMax)
      return {
        path,
        certificates: [],
        problems: [`${path}: ${size} bytes, expected at most ${certificateFileLengthMax}`],
      };
    const read = readCertificateFile(await readFile(path), path);
    const certificates: Certificate[] = [];
    const problems = [...read.problems];
    for (const certificate of read.certificates) {
      const problem = authorityProblem(certificate);
      if (problem === undefined) certificates.push(certificate);
      else problems.push(`${path}: ${problem}`);
    }
    return { path, certificates, problems };
  } catch (error) {
    // A disk that does not give a file (EACCES, EISDIR, EIO) is said with its name; the other files are read.
    if (!isSystemError(error)) throw error;
    return { path, certificates: [], problems: [`${path}: ${error.message}`] };
  }
}

function isSystemError(error: unknown): error is Error {
  return error instanceof Error && 'code' in error && typeof error.code === 'string';
}
