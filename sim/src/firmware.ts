// The firmware of a simulated device: boots stage after stage and measures each before it "runs", as a PC's firmware does, into the
// device's own PCRs and event log. A stage is a few bytes in place of an image; an altered device has other bytes in one of them.
import { createHash } from 'node:crypto';
import { parseEventLog, encodeEvent, encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { eventTypes } from '@edgekeep/core/attest/event-type';
import { type ReferenceValues, referenceValuesFromLog } from '@edgekeep/core/attest/reference-values';
import { concat, utf8 } from '@edgekeep/core/bytes';
import type { BootLog, Measurement } from '@edgekeep/hardware/boot/boot-log';

export interface Stage {
  readonly pcr: number;
  readonly eventType: number;
  readonly name: string;
  /** In place of the stage's code. */
  readonly image: string;
}

/** PCRs that the firmware fills; the agent's measured start uses another one. */
const firmwarePcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;

const efiApplication = 0x80000003;
const crtmVersion = 0x08;

/** A healthy boot: ROM, two loaders, the operating system (seed A's chain up to the application). */
export const healthyStages: readonly Stage[] = [
  { pcr: 0, eventType: crtmVersion, name: 'ROM bootloader 1.4', image: 'rom 1.4' },
  { pcr: 4, eventType: efiApplication, name: 'first-stage loader 2.06', image: 'loader 1: 2.06' },
  { pcr: 4, eventType: efiApplication, name: 'second-stage loader 5.9', image: 'loader 2: 5.9' },
  { pcr: 8, eventType: eventTypes.ipl, name: 'kernel 6.1.0', image: 'kernel 6.1.0' },
  { pcr: 9, eventType: eventTypes.ipl, name: 'root file system 12.7', image: 'rootfs 12.7' },
];

/** As an attacker with hardware access leaves it: another second-stage loader under the old name. */
export const alteredStages: readonly Stage[] = healthyStages.map((stage) =>
  stage.name.startsWith('second-stage') ? { ...stage, image: 'loader 2: 5.9 with a backdoor' } : stage,
);

/** Measures every stage into the log and the PCRs behind it. */
export async function boot(log: BootLog, stages: readonly Stage[]): Promise<void> {
  for (const measurement of measurementsOf(stages)) await log.measure(measurement);
}

/** What the publisher of this firmware signs: the only log that a healthy device produces, with what the agent measures after it. */
export function referenceValuesOf(
  stages: readonly Stage[],
  agentStages: readonly Measurement[],
  version: string,
): ReferenceValues {
  const events = [...measurementsOf(stages), ...agentStages].map(encodeEvent);
  const log = parseEventLog(concat(encodeEventLogHeader(), ...events));
  const pcrs = [...firmwarePcrs, ...agentStages.map(({ pcr }) => pcr)];
  return referenceValuesFromLog(
    log,
    [...new Set(pcrs)].sort((a, b) => a - b),
    'demo-device',
    version,
  );
}

// PCRs 0 to 7 end with a separator before the operating system starts (PC Client Platform Firmware Profile, section 3.3.4).
function measurementsOf(stages: readonly Stage[]): readonly Measurement[] {
  const separator = Uint8Array.of(0, 0, 0, 0);
  const separators = [0, 1, 2, 3, 4, 5, 6, 7].map((pcr) => ({
    pcr,
    eventType: eventTypes.separator,
    digest: sha256(separator),
    event: separator,
  }));
  const measured = stages.map(({ pcr, eventType, name, image }) => ({
    pcr,
    eventType,
    digest: sha256(utf8(image)),
    event: utf8(name),
  }));
  const firmware = measured.filter(({ pcr }) => pcr < 8);
  const system = measured.filter(({ pcr }) => pcr >= 8);
  return [...firmware, ...separators, ...system];
}

function sha256(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}
