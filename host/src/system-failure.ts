// What the operating system refused, in words for people with what to do next. Node names it by an abbreviation and a system call.
import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

interface Failure {
  readonly syscall: string;
  /** Undefined for a file that was open already: Node reports no path then. */
  readonly path: string | undefined;
}

const permission = ({ syscall, path = 'it' }: Failure) =>
  `this user may not ${doing(syscall)} ${path}: change its permissions, or start this as the user it belongs to`;
const diskFull = ({ path }: Failure) =>
  `no space is left on the disk${path === undefined ? '' : ` of ${path}`}: free some, or give another place`;
const diskFailed = ({ path }: Failure) =>
  `the disk${path === undefined ? '' : ` of ${path}`} fails: look into the log of the system, and replace it`;

const sentences: Readonly<Record<string, (failure: Failure) => string>> = {
  ENOENT: missing,
  EACCES: permission,
  EPERM: permission,
  EISDIR: ({ path }) =>
    path === undefined
      ? 'a folder was given where a file is expected: give a file'
      : `${path} is a folder: give a file`,
  ENOTDIR: ({ syscall, path = 'the path' }) =>
    syscall === 'scandir'
      ? `${path} is a file: give a folder`
      : `a part of ${path} is a file where a folder is expected: correct the path`,
  EEXIST: ({ path = 'it' }) => `${path} exists already, and is not replaced: give another place, or move it away first`,
  ENOSPC: diskFull,
  EDQUOT: ({ path }) =>
    `the disk quota of this user is used up${path === undefined ? '' : ` at ${path}`}: free some space`,
  EROFS: ({ path }) =>
    `the disk${path === undefined ? '' : ` of ${path}`} is read-only: give another place, or mount it for writing`,
  EIO: diskFailed,
  EMFILE: ({ path }) =>
    `this process has too many files open${path === undefined ? '' : `, for ${path}`}: raise its limit (ulimit -n)`,
  ENFILE: () => 'this machine has too many files open: end other programs, or raise fs.file-max',
  ENAMETOOLONG: ({ path = 'the path' }) => `the name ${path} is too long: give a shorter one`,
  ELOOP: ({ path = 'the path' }) => `${path} is a symbolic link that is not followed here: give the file that it names`,
};
// Without a path these name nothing to correct.
const needsPath: ReadonlySet<string> = new Set([
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTDIR',
  'EEXIST',
  'ENAMETOOLONG',
  'ELOOP',
]);
// Names and firewalls refuse with the same codes.
const ofNetwork = /^(connect|bind|listen|accept|getaddrinfo|send)/;

const ofMachine: ReadonlySet<string> = new Set([
  'ENOSPC',
  'EDQUOT',
  'EROFS',
  'EIO',
  'EMFILE',
  'ENFILE',
  'EADDRINUSE',
  // Codes of ours: what another process uses.
  'folder-in-use',
  'state-in-use',
  'port-unusable',
]);
/** Primary result codes of SQLite: read-only, failing or full disk, full disk. */
const ofMachineInSqlite: ReadonlySet<number> = new Set([8, 10, 13]);

/**
 * Whether the machine lacks something now: disk space, a free port, open files, a TPM that works (errors that say so: `ofMachine`). Neither the
 * input nor the program is wrong. The only table of what ends with exit code 6 (docs/errors.md).
 */
export function isMachineFailure(error: unknown): boolean {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string' && ofMachine.has(at.code)) return true;
    if ('ofMachine' in at && at.ofMachine === true) return true;
    if ('errcode' in at && typeof at.errcode === 'number' && ofMachineInSqlite.has(at.errcode & 0xff)) return true;
  }
  return false;
}

/** One sentence without the code; undefined when it is not a failure of files and folders. */
export function systemFailureText(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  const { code, syscall } = error;
  if (typeof code !== 'string' || typeof syscall !== 'string' || ofNetwork.test(syscall)) return undefined;
  const path = 'path' in error && typeof error.path === 'string' && error.path !== '' ? error.path : undefined;
  const sentence = Object.hasOwn(sentences, code) ? sentences[code] : undefined;
  if (sentence === undefined || (path === undefined && needsPath.has(code))) return undefined;
  return sentence({ syscall, path });
}

function missing({ syscall, path = '' }: Failure): string {
  if (syscall.startsWith('spawn')) return `the program ${path} is not installed here: install it, or correct its name`;
  const folder = dirname(path);
  if (syscall === 'mkdir') return `no folder can be made in ${folder}: give another place`;
  return existsSync(folder)
    ? `there is no file or folder ${path}: correct the path, or make it first`
    : `there is no folder ${folder} for ${path}: correct the path, or make the folder first`;
}

function doing(syscall: string): string {
  if (syscall.startsWith('spawn')) return 'execute';
  if (syscall === 'scandir') return 'list';
  if (syscall === 'mkdir') return 'make';
  if (syscall === 'unlink' || syscall === 'rmdir') return 'remove';
  return syscall === 'open' ? 'open' : 'use';
}
