// Portable executables as firmware measures them: the Authenticode digest ("Windows Authenticode Portable Executable Signature Format",
// version 1.0, "Calculating the PE Image Hash") of loaders and kernels, and the sections of a unified kernel image.
import { createHash } from 'node:crypto';
import { ByteReader } from '../../bytes.ts';
import { CoreError } from '../../error.ts';

/** Of a file, and of its sections in memory together: kernels with an initrd inside have some hundred MiB. */
export const IMAGE_BYTES_MAX = 1024 * 1024 * 1024;
const SECTIONS_MAX = 96;

interface Section {
  readonly name: string;
  /** In memory. */
  readonly virtualSize: number;
  /** In the file. */
  readonly size: number;
  readonly offset: number;
}

interface Layout {
  readonly checksum: number;
  readonly certificateEntry: number;
  readonly headerSize: number;
  readonly certificateOffset: number;
  readonly certificateSize: number;
  readonly sections: readonly Section[];
}

/** Whether the file claims to be a portable executable. */
export function isPortableExecutable(file: Uint8Array): boolean {
  return file.length > 0x40 && file[0] === 0x4d && file[1] === 0x5a;
}

/** What EV_EFI_BOOT_SERVICES_APPLICATION has for this image. Throws `image-invalid` for a file that is none. */
export function authenticodeDigest(file: Uint8Array): Uint8Array {
  const layout = layoutOf(file);
  const { checksum, certificateEntry, headerSize } = layout;
  const hash = createHash('sha256');
  hash.update(file.subarray(0, checksum));
  hash.update(file.subarray(checksum + 4, certificateEntry));
  hash.update(file.subarray(certificateEntry + 8, headerSize));
  let hashed = headerSize;
  for (const { offset, size } of layout.sections.filter(({ size: length }) => length > 0).sort(byOffset)) {
    hash.update(slice(file, offset, size));
    hashed += size;
  }
  const rest = file.length - hashed - layout.certificateSize;
  if (rest > 0) hash.update(slice(file, hashed, rest));
  return hash.digest();
}

/** Sections by name, each as long as it is in memory. Throws `image-invalid`. */
export function sectionsOf(file: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const found = layoutOf(file).sections.map(({ name, virtualSize, size, offset }): [string, Uint8Array] => {
    const content = new Uint8Array(virtualSize);
    content.set(slice(file, offset, Math.min(size, virtualSize)));
    return [name, content];
  });
  return new Map(found);
}

function byOffset(a: Section, b: Section): number {
  return a.offset - b.offset;
}

function slice(file: Uint8Array, offset: number, size: number): Uint8Array {
  if (offset + size > file.length) throw invalid(`it ends before octet ${offset + size}`);
  return file.subarray(offset, offset + size);
}

function layoutOf(file: Uint8Array): Layout {
  if (file.length > IMAGE_BYTES_MAX) throw new CoreError('bytes-too-long', `image: more than ${IMAGE_BYTES_MAX} bytes`);
  if (!isPortableExecutable(file)) throw invalid('it does not begin with MZ');
  const at = (offset: number, what: string) => new ByteReader(slice(file, offset, file.length - offset), what);
  const start = at(0x3c, 'image').u32(true);
  const header = at(start, 'image header');
  if (Buffer.from(header.bytes(4)).toString('latin1') !== 'PE\0\0') throw invalid('it has no PE header');
  header.u16(true);
  const count = header.u16(true);
  if (count > SECTIONS_MAX) throw invalid(`it has ${count} sections, at most ${SECTIONS_MAX} are read`);
  header.bytes(12);
  const optionalSize = header.u16(true);
  header.u16(true);
  const optional = start + 24;
  const magic = header.u16(true);
  if (magic !== 0x10b && magic !== 0x20b) throw invalid(`its optional header has the magic 0x${magic.toString(16)}`);
  const certificateEntry = optional + (magic === 0x20b ? 112 : 96) + 4 * 8;
  const certificate = at(certificateEntry, 'image certificate table');
  return {
    checksum: optional + 64,
    certificateEntry,
    headerSize: at(optional + 60, 'image header').u32(true),
    certificateOffset: certificate.u32(true),
    certificateSize: certificate.u32(true),
    sections: readSections(at(optional + optionalSize, 'image sections'), count),
  };
}

function readSections(reader: ByteReader, count: number): readonly Section[] {
  const sections = Array.from({ length: count }, () => {
    const name = Buffer.from(reader.bytes(8)).toString('latin1').replace(/\0+$/, '');
    const virtualSize = reader.u32(true);
    reader.u32(true);
    const size = reader.u32(true);
    const offset = reader.u32(true);
    reader.bytes(16);
    return { name, virtualSize, size, offset };
  });
  const inMemory = sections.reduce((sum, { virtualSize }) => sum + virtualSize, 0);
  if (inMemory > IMAGE_BYTES_MAX) throw invalid(`its sections have ${inMemory} bytes in memory`);
  return sections;
}

function invalid(problem: string): CoreError {
  return new CoreError('image-invalid', `portable executable: ${problem}`);
}
