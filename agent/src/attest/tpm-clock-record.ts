// The counters of this device's TPM at its last start (spec/tpm-clock.md): TPM2_Clear, and a state that was set back, begin them anew. A hub refuses
// such a TPM; the agent says why before.
import { readFile } from 'node:fs/promises';
import { parseJson } from '@edgekeep/core/json';
import { CoreError } from '@edgekeep/core/error';
import { utf8 } from '@edgekeep/core/bytes';
import type { ClockInfo } from '@edgekeep/core/tpm/attest';
import { replaceFile } from '@edgekeep/host/durable-file';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { z } from 'zod';
import type { Emit } from '../event.ts';

type Counters = Pick<ClockInfo, 'resetCount' | 'restartCount' | 'clock'>;

const schema = z.strictObject({
  resetCount: z.int().min(0),
  restartCount: z.int().min(0),
  clock: z.string().regex(/^(0|[1-9][0-9]{0,19})$/),
});

/** Reports a TPM that began anew since this device enrolled; else keeps the present counters. */
export async function watchTpmClock(file: string, now: Counters, isEnrolled: boolean, emit: Emit): Promise<void> {
  const last = await readCounters(file);
  if (isEnrolled && last !== undefined && beganAnew(now, last)) {
    const why = `the TPM is at reset ${now.resetCount}, clock ${now.clock} ms, and this device used it at reset ${last.resetCount}, clock ${last.clock} ms: it was cleared (TPM2_Clear, also by the setup of the firmware), or its state was set back. The hub refuses it: an operator wipes the device (edgekeep device mark-wiped), and the agent enrolls again with an empty state folder`;
    emit({ kind: 'tpm-cleared', why });
    return;
  }
  const { resetCount, restartCount, clock } = now;
  await replaceFile(file, utf8(`${JSON.stringify({ resetCount, restartCount, clock: String(clock) })}\n`));
}

/** In a later boot the clock alone may go back, after a loss of power. */
function beganAnew(now: Counters, last: Counters): boolean {
  if (now.resetCount !== last.resetCount) return now.resetCount < last.resetCount;
  return now.restartCount < last.restartCount || (now.restartCount === last.restartCount && now.clock < last.clock);
}

// A record that cannot be read only costs this report: the hub keeps the counters too.
async function readCounters(file: string): Promise<Counters | undefined> {
  const bytes = await orIfMissing(readFile(file), undefined);
  if (bytes === undefined) return undefined;
  try {
    const { clock, ...counts } = parseJson(bytes, schema, file);
    return { ...counts, clock: BigInt(clock) };
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
