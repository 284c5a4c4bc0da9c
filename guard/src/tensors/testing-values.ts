// Two elements of each datatype of spec/inference.md section 3, for tests of every transport.
import type { Datatype } from './tensor.ts';

/** The ends of each type, and what JSON must not lose. */
export const testValues: Readonly<Record<Datatype, readonly (number | string | boolean)[]>> = {
  BOOL: [true, false],
  UINT8: [0, 255],
  UINT16: [1, 65_535],
  UINT32: [1, 4_294_967_295],
  UINT64: [0, 9_007_199_254_740_991],
  INT8: [-128, 127],
  INT16: [-32_768, 32_767],
  INT32: [-2_147_483_648, 2_147_483_647],
  INT64: [-9_007_199_254_740_991, 5],
  FP16: [-65_504, 0.099_975_585_937_5],
  FP32: [0.5, -3.4028234663852886e38],
  FP64: [0.1, -1.7976931348623157e308],
  BYTES: ['', 'grün 𝄞'],
};
