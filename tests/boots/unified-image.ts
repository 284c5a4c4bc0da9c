// Makes unified kernel images as Debian's users do: systemd's stub with kernel, initrd, command line and release as sections, signed with a
// key of our own.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ImageContent {
  readonly stub: string;
  /** A file. */
  readonly kernel: string;
  readonly initrd: Uint8Array;
  readonly commandLine: string;
  readonly release: string;
}

export interface ImageSigner {
  readonly keyFile: string;
  readonly certificateFile: string;
  readonly der: Uint8Array;
}

/** A key and its certificate, for the firmware's variables. */
export async function makeImageSigner(folder: string): Promise<ImageSigner> {
  const [keyFile, certificateFile, derFile] = ['key', 'pem', 'der'].map((end) => join(folder, `image.${end}`));
  if (keyFile === undefined || certificateFile === undefined || derFile === undefined) throw new Error('three files');
  const request = ['-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/CN=Edgekeep test image'];
  await run('openssl', ['req', '-x509', ...request, '-keyout', keyFile, '-out', certificateFile]);
  await run('openssl', ['x509', '-in', certificateFile, '-outform', 'DER', '-out', derFile]);
  return { keyFile, certificateFile, der: await readFile(derFile) };
}

/** Writes the signed image and returns its path. */
export async function makeUnifiedImage(
  folder: string,
  name: string,
  parts: ImageContent,
  signer: ImageSigner,
): Promise<string> {
  const file = (end: string) => join(folder, `${name}.${end}`);
  await writeFile(file('initrd'), parts.initrd);
  await writeFile(file('cmdline'), parts.commandLine);
  await writeFile(file('osrel'), parts.release);
  const sections = [
    ['.osrel', file('osrel'), '0x20000'],
    ['.cmdline', file('cmdline'), '0x30000'],
    ['.linux', parts.kernel, '0x2000000'],
    ['.initrd', file('initrd'), '0x3000000'],
  ] as const;
  const added = sections.flatMap(([section, path, address]) => {
    return ['--add-section', `${section}=${path}`, '--change-section-vma', `${section}=${address}`];
  });
  await run('objcopy', [...added, parts.stub, file('unsigned')]);
  const keys = ['--key', signer.keyFile, '--cert', signer.certificateFile];
  await run('sbsign', [...keys, '--output', file('efi'), file('unsigned')]);
  return file('efi');
}
