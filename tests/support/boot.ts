// Boots for test devices: the measurement of each stage, the TCG event log of it, and the reference values that a publisher signs.
import { createHash } from 'node:crypto';
import { encodeEvent, encodeEventLogHeader, type EventToEncode, parseEventLog } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { type ReferenceValues, referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { concat, utf8 } from '@edgekeep/core/bytes';
import type { RootOfTrust } from '@edgekeep/hardware/root-of-trust';

const efiApplication = 0x80000003;

/** One stage: the event in the log says `name`, the PCR gets the digest of `image`. */
export function stage(pcr: number, eventType: number, name: string, image: string): EventToEncode {
  return { pcr, eventType, digest: createHash('sha256').update(image).digest(), event: utf8(name) };
}

export const healthyBoot: readonly EventToEncode[] = [
  stage(0, 0x08, 'ROM bootloader 1.4', 'rom 1.4'),
  stage(4, efiApplication, 'first-stage loader 2.06', 'loader 2.06'),
  stage(4, efiApplication, 'second-stage loader 5.9', 'loader 5.9'),
  stage(8, eventTypes.ipl, 'kernel 6.1.0', 'kernel 6.1.0'),
  stage(9, eventTypes.ipl, 'initrd 6.1.0', 'initrd 6.1.0'),
  stage(2, eventTypes.separator, 'separator', 'separator'),
  stage(7, eventTypes.separator, 'separator', 'separator'),
];

/** As an attacker leaves it who replaced the second loader and kept its name. */
export const alteredBoot: readonly EventToEncode[] = healthyBoot.map((event) =>
  event === healthyBoot[2] ? stage(4, efiApplication, 'second-stage loader 5.9', 'loader 5.9 with a backdoor') : event,
);

export function logOf(events: readonly EventToEncode[]): Uint8Array {
  return concat(encodeEventLogHeader(), ...events.map(encodeEvent));
}

export async function measure(
  rootOfTrust: Pick<RootOfTrust, 'extend'>,
  events: readonly EventToEncode[],
): Promise<void> {
  for (const { pcr, digest } of events) await rootOfTrust.extend(pcr, digest);
}

export function referenceValuesOf(events: readonly EventToEncode[], version: string): ReferenceValues {
  return referenceValuesFromLog(parseEventLog(logOf(events)), [0, 2, 4, 7, 8, 9], 'test-device', version);
}
