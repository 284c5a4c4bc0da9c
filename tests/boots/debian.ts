// What real machines boot, from Debian: shim, GRUB, the kernels that Debian signed, systemd's stub. The packages are downloaded and unpacked
// into a cache beside the npm packages; nothing of them is installed on this machine.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const cache = join(import.meta.dirname, '../../node_modules/.cache/boots');

/** Firmware with Secure Boot and TPM, from the package ovmf. */
export const firmware = {
  code: '/usr/share/OVMF/OVMF_CODE_4M.secboot.fd',
  /** Variables: with Microsoft's keys and Secure Boot on; and without any keys. */
  microsoftKeys: '/usr/share/OVMF/OVMF_VARS_4M.ms.fd',
  noKeys: '/usr/share/OVMF/OVMF_VARS_4M.fd',
} as const;

export interface DebianFiles {
  readonly shim: string;
  readonly grub: string;
  readonly busybox: string;
  readonly kernel: string;
  /** The drivers that the system of a device loads; each kernel has its own. */
  readonly driversOf: (kernel: string) => Promise<readonly Driver[]>;
  /** Another kernel that Debian signed, as an update brings one. */
  readonly otherKernel: () => Promise<string>;
  readonly unifiedImageStub: () => Promise<string>;
}

export interface Driver {
  readonly name: string;
  /** A file that Debian signed: with Secure Boot, Linux loads no other. */
  readonly path: string;
}

/** For a disk with ext4 and a network, in the order in which they are loaded. A kernel may have some of them built in. */
const driverNames: readonly string[] = [
  'virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk failover net_failover virtio_net',
  'crc32c_generic libcrc32c crc16 mbcache jbd2 ext4',
].flatMap((line) => line.split(' '));

/** Gives why there are none here, instead. */
export async function debianFiles(): Promise<DebianFiles | string> {
  if (!existsSync(firmware.code)) return 'not installed: ovmf';
  try {
    const [shim, grub, busybox, kernel] = [
      await unpacked('shim-signed', 'usr/lib/shim/shimx64.efi.signed'),
      await unpacked('grub-efi-amd64-signed', 'usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed'),
      await unpacked('busybox-static', 'bin/busybox'),
      await kernelOf('linux-image-amd64'),
    ];
    return {
      shim,
      grub,
      busybox,
      kernel,
      driversOf,
      otherKernel: () => kernelOf('linux-image-cloud-amd64'),
      unifiedImageStub: () => unpacked('systemd-boot-efi', 'usr/lib/systemd/boot/efi/linuxx64.efi.stub'),
    };
  } catch (error) {
    return `Debian's packages cannot be downloaded: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`;
  }
}

// The package of this name depends on the newest kernel's.
async function kernelOf(name: string): Promise<string> {
  const { stdout } = await run('apt-cache', ['depends', name]);
  const [, image] = /Depends: (linux-image-[\w.+-]+)/.exec(stdout) ?? [];
  if (image === undefined) throw new Error(`${name} depends on no kernel`);
  // A cache that was filled before there were drivers in it is filled again.
  await unpacked(image, 'drivers/virtio_blk.ko');
  return unpacked(image, `boot/${image.replace('linux-image-', 'vmlinuz-')}`);
}

async function driversOf(kernel: string): Promise<readonly Driver[]> {
  const folder = join(dirname(kernel), '../drivers');
  const names = new Set(await readdir(folder));
  return driverNames
    .filter((name) => names.has(`${name}.ko`))
    .map((name) => ({ name, path: join(folder, `${name}.ko`) }));
}

/** Keeps the drivers that tests load, out of some thousand. */
async function keepDrivers(root: string): Promise<void> {
  const modules = join(root, 'lib/modules');
  if (!existsSync(modules)) return;
  await mkdir(join(root, 'drivers'));
  for (const entry of await readdir(modules, { recursive: true, withFileTypes: true }))
    if (driverNames.some((name) => entry.name === `${name}.ko`))
      await rename(join(entry.parentPath, entry.name), join(root, 'drivers', entry.name));
}

async function unpacked(name: string, file: string): Promise<string> {
  const folder = join(cache, name);
  const path = join(folder, file);
  if (existsSync(path)) return path;
  await mkdir(cache, { recursive: true });
  const download = `${folder}.${process.pid}`;
  await rm(download, { recursive: true, force: true });
  await mkdir(join(download, 'root'), { recursive: true });
  try {
    await run('apt-get', ['download', '-qq', name], { cwd: download });
    const archive = (await readdir(download)).find((entry) => entry.endsWith('.deb'));
    if (archive === undefined) throw new Error(`apt-get download ${name} brought nothing`);
    await run('dpkg-deb', ['-x', join(download, archive), join(download, 'root')]);
    await keepDrivers(join(download, 'root'));
    // Other modules and documentation are of no use here.
    for (const left of ['lib/modules', 'usr/share'])
      await rm(join(download, 'root', left), { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
    await rename(join(download, 'root'), folder);
  } finally {
    await rm(download, { recursive: true, force: true });
  }
  if (!existsSync(path)) throw new Error(`${name} has no ${file}`);
  return path;
}
