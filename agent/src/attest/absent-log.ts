// Tells the operator of a device what its evidence lacks, before a hub refuses it.
import { firmwareLogEmptyText, firmwareLogMissingText, isWithoutFirmware } from '@edgekeep/core/attest/absent-evidence';
import { replayedBootLog } from '@edgekeep/core/attest/userspace-log';
import type { BootLog } from '@edgekeep/hardware/boot/boot-log';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';
import type { Emit } from '../event.ts';
import type { FirmwareLog } from './firmware-log.ts';

const firmwarePcrs = [0, 1, 2, 3, 4, 5, 6, 7] as const;

/** Reports a firmware log that is missing or empty, and PCRs that no log explains. */
export async function reportEvidence(
  { bytes, condition }: Pick<BootLog, 'bytes' | 'condition'>,
  firmwareLog: Pick<FirmwareLog, 'isThere'>,
  rootOfTrust: Pick<RootOfTrust, 'tier' | 'readPcrs'>,
  emit: Emit,
): Promise<void> {
  if (condition.kind === 'consistent' && condition.extendedLater !== undefined)
    emit({ kind: 'extended-later', pcrs: condition.extendedLater });
  if (rootOfTrust.tier !== 'tpm' || !isWithoutFirmware(replayedBootLog(bytes).events)) return;
  const values = await rootOfTrust.readPcrs({ bank: 'sha256', pcrs: [...firmwarePcrs] });
  const isMeasured = [...values.values()].some((value) => value.some((byte) => byte !== 0));
  if (!isMeasured) return;
  if (firmwareLog.isThere) emit({ kind: 'firmware-log-empty', why: firmwareLogEmptyText });
  else emit({ kind: 'firmware-log-missing', why: firmwareLogMissingText });
}
