// The logs of this machine's boot, without which no hub can accept what its TPM quotes.
import { readFile, stat } from 'node:fs/promises';
import { firmwareLogMissingText, isWithoutFirmware } from '@edgekeep/core/attest/absent-evidence';
import { UNIFIED_IMAGE_PCR } from '@edgekeep/core/attest/boot-phase';
import { EVENT_LOG_BYTES_MAX, parseEventLog } from '@edgekeep/core/attest/event-log';
import { replayEventLog } from '@edgekeep/core/attest/replay';
import { secureBootOf } from '@edgekeep/core/attest/secure-boot';
import { CoreError } from '@edgekeep/core/error';
import { kernelFirmwareLog } from '@edgekeep/hardware/boot/kernel-logs';
import { readBounded } from '../attest/input.ts';
import { type Finding, missing, ok, warning } from '@edgekeep/host/finding';

const subject = 'boot log';

/** `mounts` lists what is mounted, as /proc/mounts does. */
export async function examineBootLog(path = kernelFirmwareLog, mounts = '/proc/mounts'): Promise<Finding> {
  try {
    await stat(path);
    return describeLog(await readBounded(path, EVENT_LOG_BYTES_MAX));
  } catch (error) {
    if (error instanceof CoreError) {
      return warning(subject, error.message, 'a hub refuses it as well: is there firmware to update?');
    }
    if (!(error instanceof Error) || !('code' in error)) throw error;
    if (error.code === 'EACCES' || error.code === 'EPERM') {
      const next = 'copy it when the machine starts, and name the copy in measuredStart.firmwareLogFile';
      return warning(subject, `${path} is not readable for this user`, next);
    }
    if (error.code !== 'ENOENT') throw error;
    // Without the list of mounts, the more useful of the two answers is given.
    return absent(path, await readFile(mounts, 'utf8').catch(() => ''));
  }
}

function absent(path: string, mounts: string): Finding {
  if (!/ securityfs /.test(mounts)) {
    return missing(
      subject,
      `no ${path}: securityfs is not mounted`,
      'mount -t securityfs securityfs /sys/kernel/security',
    );
  }
  const [found = '', ...next] = firmwareLogMissingText.split('. ');
  return missing(subject, found, next.join('. '));
}

function describeLog(bytes: Uint8Array): Finding {
  const log = parseEventLog(bytes);
  if (!log.banks.includes('sha256')) {
    const next = 'turn the SHA-256 bank of the TPM on, in the firmware: only that bank is quoted';
    return warning(subject, `${log.events.length} events, without a SHA-256 bank`, next);
  }
  const replayed = replayEventLog(log, 'sha256');
  const state = secureBootOf(replayed);
  const secureBoot = state === undefined ? undefined : state.on ? 'on' : 'off';
  const kernel = kernelOf(replayed.values);
  const found = `${log.events.length} events, Secure Boot ${secureBoot ?? 'unknown'}, ${kernel}`;
  if (isWithoutFirmware(replayed.events))
    return warning(subject, found, 'no firmware event is in it: a hub refuses it');
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
