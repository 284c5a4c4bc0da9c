// The phases that systemd measures into PCR 11 after the kernel of a unified image has started (systemd-pcrphase.service(8)): one text each,
// in this order. Their digests are the same on every machine.
import { createHash } from 'node:crypto';
import { utf8 } from '../bytes.ts';
import { eventTypes } from './event-type.ts';

export const UNIFIED_IMAGE_PCR = 11;

const names = ['enter-initrd', 'leave-initrd', 'sysinit', 'ready', 'shutdown', 'final'] as const;

export interface BootPhase {
  readonly name: string;
  readonly eventType: number;
  /** SHA-256 of the name. */
  readonly digest: Uint8Array;
}

/** In the order in which a machine reaches them. */
export const bootPhases: readonly BootPhase[] = names.map((name) => ({
  name: `phase ${name}`,
  eventType: eventTypes.ipl,
  digest: createHash('sha256').update(utf8(name)).digest(),
}));
