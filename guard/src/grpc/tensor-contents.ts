// Tensor data as typed contents of the gRPC flavor (InferTensorContents of spec/inference.proto): one repeated field for each family of
// datatypes. FP16 has none: it is raw.
import { GuardError } from '../error.ts';
import { packedVarints, type ProtobufField, protobufFields } from '../protobuf.ts';
import { parseText } from '../tensors/tensor-bytes.ts';
import { allocate, type Datatype, type TensorData } from '../tensors/tensor.ts';

/** Encoded, in pieces that are one message together: as objects, its fields would take a hundred times the memory. */
export type TensorContents = readonly Uint8Array[];

/** Field number of each datatype. */
const contentsField: Readonly<Partial<Record<Datatype, number>>> = {
  BOOL: 1,
  INT8: 2,
  INT16: 2,
  INT32: 2,
  INT64: 3,
  UINT8: 4,
  UINT16: 4,
  UINT32: 4,
  UINT64: 5,
  FP32: 6,
  FP64: 7,
  BYTES: 8,
};

/** Reads exactly `length` elements of one datatype. @throws GuardError `request-invalid` */
export function contentsData(
  name: string,
  datatype: Datatype,
  length: number,
  contents: TensorContents | undefined,
): TensorData {
  const wanted = contentsField[datatype];
  if (wanted === undefined) throw invalid(`${name}: ${datatype} has raw contents only`);
  if (contents === undefined) throw invalid(`${name}: neither contents nor raw contents`);
  const fields = fieldsOf(name, datatype, wanted, contents);
  if (datatype === 'BYTES') return texts(name, length, fields);
  const values = allocate(datatype, length);
  const count =
    datatype === 'FP32' || datatype === 'FP64'
      ? fillFloats(name, values, datatype === 'FP32' ? 4 : 8, fields)
      : fillIntegers(name, datatype, values, fields);
  assertCount(name, count, length);
  return values;
}

type Fields = Iterable<ProtobufField>;

function* fieldsOf(
  name: string,
  datatype: Datatype,
  wanted: number,
  contents: TensorContents,
): Generator<ProtobufField> {
  for (const piece of contents) {
    for (const field of protobufFields(piece, invalid)) {
      if (field.field !== wanted)
        throw invalid(`${name}: contents of field ${field.field}, those of ${datatype} are in ${wanted}`);
      yield field;
    }
  }
}

function texts(name: string, length: number, fields: Fields): readonly string[] {
  const found: string[] = [];
  let count = 0;
  for (const { bytes } of fields) {
    count += 1;
    if (count <= length) found.push(parseText(name, bytes));
  }
  assertCount(name, count, length);
  return found;
}

type Values = ReturnType<typeof allocate>;

function fillFloats(name: string, values: Values, size: 4 | 8, fields: Fields): number {
  let count = 0;
  for (const { bytes } of fields) {
    if (bytes.length % size !== 0) throw invalid(`${name}: contents of ${bytes.length} bytes are no list of numbers`);
    const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    for (let at = 0; at < bytes.length; at += size, count += 1)
      values[count] = size === 4 ? numbers.getFloat32(at, true) : numbers.getFloat64(at, true);
  }
  return count;
}

function fillIntegers(name: string, datatype: Datatype, values: Values, fields: Fields): number {
  const isSigned = datatype.startsWith('INT');
  let count = 0;
  for (const field of fields) {
    for (const number of packedVarints(field, invalid)) {
      const value = isSigned ? BigInt.asIntN(64, number) : number;
      if (datatype === 'BOOL' && value > 1n) throw invalid(`${name}: a BOOL that is neither 0 nor 1`);
      if (values instanceof BigInt64Array || values instanceof BigUint64Array) values[count] = value;
      else values[count] = Number(value);
      // An array wraps a value that does not fit, so the stored value shows it; beyond its end nothing is stored.
      if (count < values.length && BigInt(values[count] ?? 0) !== value)
        throw invalid(`${name}: an element is not a ${datatype}`);
      count += 1;
    }
  }
  return count;
}

function assertCount(name: string, count: number, length: number): void {
  if (count !== length) throw invalid(`${name}: ${count} elements, its shape says ${length}`);
}

function invalid(message: string): GuardError {
  return new GuardError('request-invalid', message);
}
