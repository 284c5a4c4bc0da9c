// Failures of this machine, in the words of the closed list for models (docs/errors.md, "Models on devices"). Node names them by
// abbreviations.
import { HostError } from '@edgekeep/host/error';
import type { ModelFaultCode } from '@edgekeep/wire/api/model-report';

export interface LocalFailure {
  readonly code: ModelFaultCode;
  readonly message: string;
}

const failures: Readonly<Record<string, LocalFailure>> = {
  ENOSPC: { code: 'disk-full', message: 'no space is left on the disk of the state folder' },
  EDQUOT: { code: 'disk-full', message: 'the disk quota of this user is used up' },
  EROFS: { code: 'disk-failed', message: 'the state folder is read-only' },
  EACCES: { code: 'disk-failed', message: 'this user has no permission for a file of the state folder' },
  EPERM: { code: 'disk-failed', message: 'this user has no permission for a file of the state folder' },
  EIO: { code: 'disk-failed', message: 'the disk fails' },
  EMFILE: { code: 'descriptors-short', message: 'too many files are open: raise LimitNOFILE' },
  ENFILE: { code: 'descriptors-short', message: 'too many files are open on this machine' },
  ENOMEM: { code: 'memory-short', message: 'not enough memory is free' },
};
// A firewall, for example, refuses with the same names.
const ofNetwork: ReadonlySet<unknown> = new Set(['connect', 'bind', 'listen', 'accept', 'getaddrinfo', 'send']);

/** In words, with the operation and the file that failed; undefined when it is no failure of files, descriptors or memory. */
export function localFailureOf(error: unknown): LocalFailure | undefined {
  // Its cause is what the system refused.
  if (error instanceof HostError && error.code === 'folder-unusable') return localFailureOf(error.cause);
  if (!(error instanceof Error) || !('code' in error) || !('syscall' in error)) return undefined;
  const { code, syscall } = error;
  if (typeof code !== 'string' || ofNetwork.has(syscall)) return undefined;
  const failure = failures[code];
  if (failure === undefined) return undefined;
  const path = 'path' in error && typeof error.path === 'string' ? ` ${error.path}` : '';
  return { code: failure.code, message: `${failure.message} (${String(syscall)}${path})` };
}
