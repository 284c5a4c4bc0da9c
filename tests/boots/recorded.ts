// Keeps the logs of these boots as vectors, when an engineer asks for it: EDGEKEEP_RECORD_BOOTS=1 npm run boots.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pcrValue } from '@edgekeep/core/attest/replay';
import { replayedBootLog } from '@edgekeep/core/attest/userspace-log';
import { toHex } from '@edgekeep/core/bytes';
import type { GuestReport } from './guest.ts';

const folder = join(import.meta.dirname, '../../spec/vectors/attest/event-log/valid');

/** A boot log with the PCRs that the kernel read from the TPM. */
export async function keepLog(name: string, { bootLog, pcrs }: GuestReport): Promise<void> {
  if (process.env['EDGEKEEP_RECORD_BOOTS'] !== '1') return;
  const replayed = replayedBootLog(bootLog);
  const touched = [...replayed.values.keys()].sort((a, b) => a - b);
  const kernel = Object.fromEntries(
    touched.map((pcr) => [String(pcr), toHex(pcrs.get(pcr) ?? pcrValue(replayed, pcr))]),
  );
  const comment = `${name}: Debian on OVMF, a boot of npm run boots; the PCRs are those that the kernel read from the TPM`;
  const vector = { comment, log: toHex(bootLog), pcrs: { sha256: kernel } };
  await writeFile(join(folder, `real-${name}.json`), `${JSON.stringify(vector, undefined, 1)}\n`);
}
