// Why a TPM cannot be reached, by what the system answers (docs/agent-causes.md).
import { messageOf } from '@edgekeep/core/message-of';
import { HardwareError } from '../error.ts';

/** What the system says when a device or a socket exists and this user may not use it. */
const forbidden: ReadonlySet<unknown> = new Set(['EACCES', 'EPERM']);

/** The cause of what the system refused. */
export function unreachable(address: string, cause: unknown): HardwareError {
  const reason = messageOf(cause);
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined;
  if (forbidden.has(code)) {
    return new HardwareError('tpm-permission', `${address} exists, and this user may not use it (${reason})`, {
      cause,
    });
  }
  // The queue of a simulator that takes no connection is full.
  if (code === 'EAGAIN') {
    return new HardwareError('tpm-timeout', `${address} takes no connection: it hangs, or another program uses it`, {
      cause,
    });
  }
  if (code === 'EBUSY') return new HardwareError('tpm-busy', `another program has ${address} open`, { cause });
  return new HardwareError('tpm-unreachable', `no TPM at ${address}: ${reason}`, { cause });
}
