// Writes cpio archives of the form `newc`, from which Linux makes its first root file system (kernel documentation, "initramfs buffer
// format"). The same content gives the same bytes: its digest is known before a boot.
import { concat, utf8 } from '@edgekeep/core/bytes';

export interface ArchiveEntry {
  readonly path: string;
  readonly mode: number;
  readonly content: Uint8Array;
}

export const fileMode = { program: 0o100755, file: 0o100644, folder: 0o040755 } as const;

export function encodeArchive(entries: readonly ArchiveEntry[]): Uint8Array {
  const records = [...entries, { path: 'TRAILER!!!', mode: 0, content: new Uint8Array(0) }].map(encodeRecord);
  return concat(...records);
}

function encodeRecord({ path, mode, content }: ArchiveEntry, index: number): Uint8Array {
  const name = utf8(`${path}\0`);
  const links = 1;
  const fields = [index + 1, mode, 0, 0, links, 0, content.length, 0, 0, 0, 0, name.length, 0];
  const header = utf8(`070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}`);
  return padded(concat(padded(concat(header, name)), content));
}

function padded(bytes: Uint8Array): Uint8Array {
  return concat(bytes, new Uint8Array((4 - (bytes.length % 4)) % 4));
}
