// The logs of this machine's boot, without which no hub can accept what its TPM quotes.
import { readFile, stat } from 'node:fs/promises';
import { firmwareLogEmptyText, firmwareLogMissingText, isWithoutFirmware } from '@edgekeep/core/attest/absent-evidence';
import { UNIFIED_IMAGE_PCR } from '@edgekeep/core/attest/boot-phase';
import { EVENT_LOG_BYTES_MAX, parseEventLog } from '@edgekeep/core/attest/event-log';
import { replayEventLog } from '@edgekeep/core/attest/replay';
import { secureBootOf } from '@edgekeep/core/attest/secure-boot';
import { CoreError } from '@edgekeep/core/error';
import { kernelFirmwareLog } from '@edgekeep/hardware/boot/kernel-logs';
import { readBounded } from '../attest/input.ts';
import { type Finding, missing, ok, warning } from '@edgekeep/host/finding';

const subject = 'boot log';
const [, emptyNext = ''] = firmwareLogEmptyText.split('. ');
const copyIt =
  'copy it when the machine starts, as edgekeep-agent.service does, and name the copy in measuredStart.firmwareLogFile';

/** `mounts` lists what is mounted, as /proc/mounts does. */
export async function examineBootLog(
  path = kernelFirmwareLog,
  mounts = '/proc/mounts',
  from: 'kernel' | 'named' = 'kernel',
): Promise<Finding> {
  try {
    await stat(path);
    return describeLog(await readBounded(path, EVENT_LOG_BYTES_MAX));
  } catch (error) {
    if (error instanceof CoreError) {
      return warning(subject, error.message, 'a hub refuses it as well: is there firmware to update?');
    }
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (error.code !== 'ENOENT') {
      const why = `${path} is there, and cannot be read by this user: ${error.message} (firmware-log-unreadable)`;
      return warning(subject, why, copyIt);
    }
    if (from === 'named')
      return missing(subject, `no ${path}, which measuredStart.firmwareLogFile names (firmware-log-missing)`, copyIt);
    // Without the list of mounts, the more useful of the two answers is given.
    return absent(path, await readFile(mounts, 'utf8').catch(() => ''));
  }
}

/** Of a TPM in which a firmware measured, without a log in the kernel or in the settings. */
export function logMissing(): Finding {
  const [found = '', ...next] = firmwareLogMissingText.split('. ');
  return missing(subject, `${found} (firmware-log-missing)`, next.join('. '));
}

function absent(path: string, mounts: string): Finding {
  if (!/ securityfs /.test(mounts)) {
    return missing(
      subject,
      `no ${path}: securityfs is not mounted`,
      'mount -t securityfs securityfs /sys/kernel/security',
    );
  }
  return logMissing();
}

function describeLog(bytes: Uint8Array): Finding {
  if (bytes.length === 0) return warning(subject, 'it is empty (firmware-log-empty)', emptyNext);
  const log = parseEventLog(bytes);
  if (!log.banks.includes('sha256')) {
    const next = 'turn the SHA-256 bank of the TPM on, in the firmware: only that bank is quoted';
    const found = `${log.events.length} events, without a SHA-256 bank (firmware-log-bank-missing)`;
    return warning(subject, found, next);
  }
  const replayed = replayEventLog(log, 'sha256');
  const state = secureBootOf(replayed);
  const secureBoot = state === undefined ? undefined : state.on ? 'on' : 'off';
  const kernel = kernelOf(replayed.values);
  const found = `${log.events.length} events, Secure Boot ${secureBoot ?? 'unknown'}, ${kernel}`;
  if (isWithoutFirmware(replayed.events)) return warning(subject, `${found} (firmware-log-empty)`, emptyNext);
  if (secureBoot === 'off')
    return warning(subject, found, 'turn Secure Boot on: anything that is signed by nobody boots');
  return ok(subject, found);
}

function kernelOf(values: ReadonlyMap<number, Uint8Array>): string {
  if (values.has(UNIFIED_IMAGE_PCR)) return 'a unified kernel image';
  return values.has(8) && values.has(9)
    ? 'a kernel that GRUB measured'
    : 'no measurement of the kernel (PCR 8 and 9, or 11)';
}
