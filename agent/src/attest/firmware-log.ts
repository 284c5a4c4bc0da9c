// The firmware's event log of this boot, from the kernel or from the file that the settings name; and each way in which it can be lacking, by its
// own name (docs/agent-causes.md).
import { readFile } from 'node:fs/promises';
import { messageOf } from '@edgekeep/core/message-of';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { CoreError } from '@edgekeep/core/error';
import { isMissing } from '@edgekeep/host/missing-file';
import { AgentError } from '../error.ts';

export interface FirmwareLog {
  /** Undefined: there is none to send. */
  readonly bytes: Uint8Array | undefined;
  /** Whether a file is there, with events or without. */
  readonly isThere: boolean;
}

const copyIt =
  'copy it when the machine starts, as edgekeep-agent.service does, and name the copy in measuredStart.firmwareLogFile';

/**
 * A log that the settings name must exist: a copy that is made later would not explain what was measured before. Not every kernel has one. Throws
 * `firmware-log-missing`, `firmware-log-unreadable` or `firmware-log-bank-missing`.
 */
export async function readFirmwareLog({
  named,
  inKernel,
}: {
  readonly named: string | undefined;
  readonly inKernel: string | undefined;
}): Promise<FirmwareLog> {
  const file = named ?? inKernel;
  if (file === undefined) return { bytes: undefined, isThere: false };
  try {
    const bytes = await readFile(file);
    assertHasBank(file, bytes);
    return { bytes: bytes.length === 0 ? undefined : bytes, isThere: true };
  } catch (cause) {
    if (cause instanceof AgentError) throw cause;
    if (isMissing(cause) && named === undefined) return { bytes: undefined, isThere: false };
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): AgentError {
  if (isMissing(cause)) {
    const message = `there is no firmware event log ${file}, which measuredStart.firmwareLogFile names: ${copyIt}, or remove the setting where the kernel has none`;
    return new AgentError('firmware-log-missing', message, { cause });
  }
  const message = `the firmware event log ${file} is there, and this user may not read it, or it cannot be read (${messageOf(cause)}): ${copyIt}`;
  return new AgentError('firmware-log-unreadable', message, { cause });
}

/** A file that cannot be parsed is refused where it is opened. */
function assertHasBank(file: string, bytes: Uint8Array): void {
  if (bytes.length === 0) return;
  let banks;
  try {
    ({ banks } = parseEventLog(bytes));
  } catch (cause) {
    if (cause instanceof CoreError) return;
    throw cause;
  }
  if (banks.includes('sha256')) return;
  const message = `the firmware event log ${file} has no SHA-256 digests (it has ${banks.join(', ')}), and only those are quoted: turn the SHA-256 bank of the TPM on in the setup of the firmware, then restart the machine`;
  throw new AgentError('firmware-log-bank-missing', message);
}
