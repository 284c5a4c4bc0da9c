// Tensors as the Open Inference Protocol names them: datatypes, element sizes, and the typed array each becomes. Follows spec/inference.md section 3.

/** Protocol datatype to ONNX Runtime type and bytes an element (0: BYTES elements have no fixed size). */
export const datatypes = {
  BOOL: { runtime: 'bool', bytes: 1 },
  UINT8: { runtime: 'uint8', bytes: 1 },
  UINT16: { runtime: 'uint16', bytes: 2 },
  UINT32: { runtime: 'uint32', bytes: 4 },
  UINT64: { runtime: 'uint64', bytes: 8 },
  INT8: { runtime: 'int8', bytes: 1 },
  INT16: { runtime: 'int16', bytes: 2 },
  INT32: { runtime: 'int32', bytes: 4 },
  INT64: { runtime: 'int64', bytes: 8 },
  FP16: { runtime: 'float16', bytes: 2 },
  FP32: { runtime: 'float32', bytes: 4 },
  FP64: { runtime: 'float64', bytes: 8 },
  BYTES: { runtime: 'string', bytes: 0 },
} as const;

export type Datatype = keyof typeof datatypes;

export type TensorData =
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigUint64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | Float32Array
  | Float64Array
  | readonly string[];

/** Row-major. FP16 is kept as its 16-bit patterns, BOOL as bytes 0 and 1. */
export interface TensorValue {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

/** An input or output of a model; the request chooses a size of -1. */
export interface TensorInterface {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

export function isDatatype(text: string): text is Datatype {
  return Object.hasOwn(datatypes, text);
}

export function datatypeOfRuntime(type: string): Datatype | undefined {
  return Object.keys(datatypes)
    .filter(isDatatype)
    .find((datatype) => datatypes[datatype].runtime === type);
}

/** Zeroed storage for `length` elements; BYTES has none, its elements are strings. */
export function allocate(datatype: Exclude<Datatype, 'BYTES'>, length: number): Exclude<TensorData, readonly string[]> {
  return view(datatype, new ArrayBuffer(length * datatypes[datatype].bytes));
}

/** The buffer's bytes as elements. Tensor bytes are little-endian, and so is every platform ONNX Runtime's Node binding exists for. */
export function view(
  datatype: Exclude<Datatype, 'BYTES'>,
  buffer: ArrayBuffer,
): Exclude<TensorData, readonly string[]> {
  switch (datatype) {
    case 'BOOL':
    case 'UINT8':
      return new Uint8Array(buffer);
    case 'UINT16':
    case 'FP16':
      return new Uint16Array(buffer);
    case 'UINT32':
      return new Uint32Array(buffer);
    case 'UINT64':
      return new BigUint64Array(buffer);
    case 'INT8':
      return new Int8Array(buffer);
    case 'INT16':
      return new Int16Array(buffer);
    case 'INT32':
      return new Int32Array(buffer);
    case 'INT64':
      return new BigInt64Array(buffer);
    case 'FP32':
      return new Float32Array(buffer);
    case 'FP64':
      return new Float64Array(buffer);
  }
}

/** The bits of a tensor of FP16 as numbers. */
export function halves({ buffer, byteOffset, length }: Uint16Array): Float16Array {
  return new Float16Array(buffer, byteOffset, length);
}

/** Whether no element is NaN or infinite; integers always are finite. */
export function allFinite(tensor: TensorValue): boolean {
  const { data, datatype } = tensor;
  if (data instanceof Float32Array || data instanceof Float64Array) {
    // Zero times anything finite is zero; one NaN or infinity makes the sum NaN. One branch for the whole tensor.
    let sum = 0;
    for (let at = 0; at < data.length; at += 1) sum += (data[at] ?? 0) * 0;
    return sum === 0;
  }
  if (datatype === 'FP16' && data instanceof Uint16Array) return data.every((bits) => (bits & 0x7c00) !== 0x7c00);
  return true;
}
