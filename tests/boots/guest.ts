// The system that a machine boots for a test: one busybox and a script that writes the logs and PCRs of this boot to the second serial port, behind
// what firmware and loader wrote there.
// It needs no driver that is not in Debian's kernel. The initrd of a device has drivers besides, and starts what is on the device's own disk.
import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { parseHex, utf8 } from '@edgekeep/core/bytes';
import { encodeArchive, fileMode } from './cpio.ts';
import type { Driver } from './debian.ts';

const script = `#!/bin/busybox sh
for each in proc:/proc sysfs:/sys devtmpfs:/dev securityfs:/sys/kernel/security; do
  busybox mount -t \${each%%:*} none \${each##*:}
done
show() { echo "begin $1"; busybox base64 "$2" 2>/dev/null; }
{
  echo
  show boot /sys/kernel/security/tpm0/binary_bios_measurements
  show ima /sys/kernel/security/ima/binary_runtime_measurements
  echo 'begin pcrs'
  for pcr in /sys/class/tpm/tpm0/pcr-sha256/*; do echo "\${pcr##*/} $(busybox cat $pcr)"; done
  echo end
} > /dev/ttyS1
while read driver; do busybox insmod /drivers/$driver.ko; done < /drivers/order
if [ -b /dev/vdb ]; then
  busybox mount -t ext4 /dev/vdb /device && busybox sh /device/start.sh
fi
while true; do busybox sleep 1000; done
`;

/** The kernel's command line that this system needs. On a busy machine without virtualization the check of the timer fails: it is left out. */
export const guestCommandLine = 'console=ttyS0 quiet panic=-1 no_timer_check';

/** `note` makes it another initrd of the same function; with drivers it is the one of a device. */
export async function guestInitrd(busybox: string, note = '', drivers: readonly Driver[] = []): Promise<Uint8Array> {
  const folders = ['bin', 'dev', 'device', 'drivers', 'proc', 'sys'].map((path) => {
    return { path, mode: fileMode.folder, content: new Uint8Array(0) };
  });
  const archive = encodeArchive([
    ...folders,
    { path: 'bin/busybox', mode: fileMode.program, content: await readFile(busybox) },
    { path: 'init', mode: fileMode.program, content: utf8(script) },
    { path: 'drivers/order', mode: fileMode.file, content: utf8(drivers.map(({ name }) => `${name}\n`).join('')) },
    ...(await Promise.all(
      drivers.map(async ({ name, path }) => {
        return { path: `drivers/${name}.ko`, mode: fileMode.file, content: new Uint8Array(await readFile(path)) };
      }),
    )),
    { path: 'note', mode: fileMode.file, content: utf8(note) },
  ]);
  return gzipSync(archive, { level: 1 });
}

export interface GuestReport {
  /** Empty when the kernel has none. */
  readonly bootLog: Uint8Array;
  readonly imaLog: Uint8Array;
  /** What the kernel reads from the TPM, sha256 bank. */
  readonly pcrs: ReadonlyMap<number, Uint8Array>;
}

/** Undefined until the guest has said all. */
export function parseGuestReport(text: string): GuestReport | undefined {
  const lines = text.split(/\r?\n/);
  if (!lines.includes('end')) return undefined;
  const part = (name: string) => {
    const start = lines.indexOf(`begin ${name}`) + 1;
    const rest = lines.slice(start);
    return rest.slice(
      0,
      rest.findIndex((line) => line === 'end' || line.startsWith('begin ')),
    );
  };
  const bytes = (name: string) => new Uint8Array(Buffer.from(part(name).join(''), 'base64'));
  const pcrs = part('pcrs').map((line): [number, Uint8Array] => {
    const [number = '', value = ''] = line.split(' ');
    return [Number(number), parseHex(value.toLowerCase(), `PCR ${number}`)];
  });
  return { bootLog: bytes('boot'), imaLog: bytes('ima'), pcrs: new Map(pcrs) };
}
