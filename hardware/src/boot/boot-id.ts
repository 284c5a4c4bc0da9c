// What tells one boot from the next: PCR values and boot logs of different boots must never be mixed.
import { readFile } from 'node:fs/promises';

/** 36 characters for the kernel's; a simulator may name its boots shorter. */
export const bootIdPattern = /^[0-9a-z-]{1,64}$/;

/** The kernel's identifier of this boot, a random UUID. */
export async function kernelBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
