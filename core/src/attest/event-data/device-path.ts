// UEFI device paths (UEFI 2.10, section 10.3), as far as people need them: which file, on which partition, or which part of the firmware.
import { ByteReader } from '../../bytes.ts';
import { guidText, wideText } from './printable.ts';

const NODES_MAX = 64; // real ones have 3 to 10
const end = 0x7f;
const messaging = 3;
const media = 4;

/** `/EFI/BOOT/BOOTX64.EFI on partition 1`; undefined when the path names neither a file nor a part of the firmware. */
export function devicePathText(bytes: Uint8Array): string | undefined {
  const reader = new ByteReader(bytes, 'device path');
  const files: string[] = [];
  const places: string[] = [];
  for (let count = 0; count < NODES_MAX && reader.remaining >= 4; count += 1) {
    const type = reader.u8();
    const subtype = reader.u8();
    const data = reader.bytes(Math.max(reader.u16(true) - 4, 0));
    if (type === end) break;
    const file = type === media && subtype === 4 ? wideText(data) : undefined;
    if (file !== undefined) files.push(file.replaceAll('\\', '/'));
    const place = placeOf(type, subtype, data);
    if (place !== undefined) places.push(place);
  }
  const path = files.join('/').replaceAll(/\/{2,}/g, '/');
  const where = places.join(', ');
  if (path === '') return where === '' ? undefined : where;
  return where === '' ? path : `${path} on ${where}`;
}

function placeOf(type: number, subtype: number, data: Uint8Array): string | undefined {
  if (type === messaging) return messagingPlace(subtype, data);
  if (type !== media) return undefined;
  switch (subtype) {
    case 1:
      return `partition ${new ByteReader(data, 'partition of a device path').u32(true)}`;
    case 2:
      return 'CD-ROM';
    case 6:
      return `firmware file ${guidText(data)}`;
    default:
      return undefined;
  }
}

function messagingPlace(subtype: number, data: Uint8Array): string | undefined {
  switch (subtype) {
    case 5:
      return 'USB';
    case 11:
      return 'network';
    case 23:
      return 'NVMe';
    case 24:
      return Buffer.from(data).toString('latin1'); // a URI
    default:
      return undefined;
  }
}
