// What a replayed boot log says of Secure Boot. The digest of a UEFI variable covers its data, so the value is as good as the PCR.
import { createHash } from 'node:crypto';
import { equalBytes } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseUefiVariable } from './event-data/uefi-variable.ts';
import type { ReplayedLog } from './replay.ts';

const driverConfig = 0x80000001;
const globalVariable = '8be4df61-93ca-11d2-aa0d-00e098032b8c';

/** Undefined when the log does not say. */
export function secureBootOf({ events }: Pick<ReplayedLog, 'events'>): 'on' | 'off' | undefined {
  for (const { pcr, eventType, event, digest } of events) {
    if (pcr !== 7 || eventType !== driverConfig) continue;
    if (!equalBytes(createHash('sha256').update(event).digest(), digest)) continue;
    const data = secureBootData(event);
    if (data !== undefined) return data[0] === 1 ? 'on' : 'off';
  }
  return undefined;
}

function secureBootData(event: Uint8Array): Uint8Array | undefined {
  try {
    const { vendor, name, data } = parseUefiVariable(event);
    return vendor === globalVariable && name === 'SecureBoot' ? data : undefined;
  } catch (error) {
    // Some firmware writes other data under this type: it says nothing of Secure Boot.
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
