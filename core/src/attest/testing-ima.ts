// For tests and benchmarks: IMA logs as the kernel writes them (ima_measurements_show).
import { createHash } from 'node:crypto';
import { concat, utf8 } from '../bytes.ts';

/** An entry of `template` with these fields, little-endian, each after its length. */
export function imaEntry(template: string, fields: readonly Uint8Array[], pcr = 10): Uint8Array {
  const data = concat(...fields.map(sized));
  const digest = createHash('sha1').update(data).digest();
  return concat(u32(pcr), digest, sized(utf8(template)), sized(data));
}

/** `count` files from `first` on, in template ima-ng, with names of a common length. */
export function imaNgLog(count: number, first = 0): Uint8Array {
  const entries = Array.from({ length: count }, (_, index) => {
    const name = `/usr/lib/python3/dist-packages/module${String(first + index).padStart(7, '0')}.py\0`;
    return imaEntry('ima-ng', [concat(utf8('sha256:\0'), createHash('sha256').update(name).digest()), utf8(name)]);
  });
  return concat(...entries);
}

function sized(bytes: Uint8Array): Uint8Array {
  return concat(u32(bytes.length), bytes);
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}
