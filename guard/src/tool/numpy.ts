// NumPy's .npy files (numpy.lib.format, versions 1 to 3): FP32 and UINT8 arrays in C order, which are what images are.
import { GuardError } from '../error.ts';

export interface NumpyArray {
  readonly datatype: 'FP32' | 'UINT8';
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array;
}

const magic = Buffer.from('\u0093NUMPY', 'latin1');

/** @throws GuardError `request-invalid` */
export function parseNumpy(name: string, bytes: Buffer): NumpyArray {
  const major = bytes[6] ?? 0;
  if (!bytes.subarray(0, 6).equals(magic) || major < 1 || major > 3 || bytes.length < 12)
    throw invalid(name, 'not an .npy file');
  const start = major === 1 ? 10 : 12;
  const length = major === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  const header = bytes.subarray(start, start + length).toString('latin1');
  const description = /'descr':\s*'([^']+)'/.exec(header)?.[1];
  if (!/'fortran_order':\s*False/.test(header))
    throw invalid(name, 'not in C order: save numpy.ascontiguousarray of it');
  const sizes = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1] ?? '';
  const words = sizes
    .split(',')
    .map((size) => size.trim())
    .filter((size) => size !== '');
  if (!words.every((size) => /^[1-9]\d{0,9}$/.test(size))) throw invalid(name, `its shape is (${sizes})`);
  const shape = words.map(Number);
  const count = shape.reduce((product, size) => product * size, 1);
  const body = Uint8Array.from(bytes.subarray(start + length));
  if (description === '<f4' && body.length === count * 4)
    return { datatype: 'FP32', shape, data: new Float32Array(body.buffer) };
  if (description === '|u1' && body.length === count) return { datatype: 'UINT8', shape, data: body };
  throw invalid(name, `an array of ${description ?? 'unknown type'}, float32 or uint8 is expected`);
}

function invalid(name: string, why: string): GuardError {
  return new GuardError('request-invalid', `${name}: ${why}`);
}
