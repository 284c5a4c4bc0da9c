// The identifier of a boot: PCR values and boot logs of different boots must never be mixed.
import { readFile } from 'node:fs/promises';

/** The kernel's has 36 characters; a simulator may use shorter ones. */
export const bootIdPattern = /^[0-9a-z-]{1,64}$/;

/** The kernel's identifier of this boot, a random UUID. */
export async function kernelBootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
