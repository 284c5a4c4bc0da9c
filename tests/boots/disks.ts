// Disks of machines: a folder each, with a loader that the firmware starts. One boots by shim, GRUB and a kernel; the other has a unified
// kernel image.
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

export interface GrubDisk {
  readonly shim: string;
  readonly grub: string;
  /** A file. */
  readonly kernel: string;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
}

const loader = 'EFI/BOOT/BOOTX64.EFI';

/** The commands of GRUB's configuration; GRUB measures each of them. */
function grubCommands(commandLine: string): readonly string[] {
  return [
    'set timeout=0',
    'search --file --set=root /vmlinuz',
    `linux /vmlinuz ${commandLine}`,
    'initrd /initrd.img',
    'boot',
  ];
}

export async function makeGrubDisk(folder: string, disk: GrubDisk): Promise<string> {
  await put(folder, loader, disk.shim);
  await put(folder, 'EFI/BOOT/grubx64.efi', disk.grub);
  await put(folder, 'vmlinuz', disk.kernel);
  await writeFile(join(folder, 'initrd.img'), disk.initrd);
  await mkdir(join(folder, 'EFI/debian'), { recursive: true });
  await writeFile(join(folder, 'EFI/debian/grub.cfg'), `${grubCommands(disk.commandLine).join('\n')}\n`);
  return folder;
}

export async function makeImageDisk(folder: string, image: string): Promise<string> {
  await put(folder, loader, image);
  return folder;
}

async function put(folder: string, path: string, file: string): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true });
  await copyFile(file, join(folder, path));
}
