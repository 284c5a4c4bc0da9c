// Tensor data as JSON: a flat list of elements in row-major order, or lists nested as the shape says. Follows spec/inference.md section 3.
import { GuardError } from '../error.ts';
import { isText } from './tensor-bytes.ts';
import { allocate, halves, type Datatype, type TensorData, type TensorValue } from './tensor.ts';

/** Reads `data` into storage of exactly `length` elements; anything missing, extra, of the wrong kind or out of range throws `request-invalid`. */
export function parseTensorJson(
  name: string,
  datatype: Datatype,
  shape: readonly number[],
  length: number,
  data: unknown,
): TensorData {
  if (!Array.isArray(data)) throw new GuardError('request-invalid', `${name}: data is not a list`);
  const elements = Array.isArray(data[0]) ? flatten(name, data, shape) : data;
  if (elements.length !== length) {
    throw new GuardError('request-invalid', `${name}: ${elements.length} elements, its shape says ${length}`);
  }
  if (datatype === 'BYTES') {
    return elements.map((element: unknown) => {
      if (typeof element !== 'string' || !isText(element)) throw wrongElement(name, datatype);
      return element;
    });
  }
  const values = allocate(datatype, length);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) fillBig(name, datatype, values, elements);
  else if (datatype === 'BOOL') fillBooleans(name, values, elements);
  else fillNumbers(name, datatype, asNumbers(datatype, values), elements);
  return values;
}

/** The elements of lists nested exactly as `shape` says. Recursion is as deep as the shape, whose rank is bounded. */
function flatten(name: string, data: readonly unknown[], shape: readonly number[]): readonly unknown[] {
  const [size, ...inner] = shape;
  if (size !== data.length) {
    throw new GuardError(
      'request-invalid',
      `${name}: a list of ${data.length} where its shape says ${size ?? 'an element'}`,
    );
  }
  if (inner.length === 0) return data;
  return data.flatMap((part: unknown) => {
    if (!Array.isArray(part)) throw new GuardError('request-invalid', `${name}: not nested as its shape says`);
    return flatten(name, part, inner);
  });
}

function fillNumbers(
  name: string,
  datatype: Datatype,
  values: { [index: number]: number },
  elements: readonly unknown[],
) {
  const whole = datatype !== 'FP16' && datatype !== 'FP32' && datatype !== 'FP64';
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index];
    if (typeof element !== 'number') throw wrongElement(name, datatype);
    values[index] = element;
    // An integer array wraps or truncates a value that does not fit, so the stored value shows it.
    if (whole && values[index] !== element) throw wrongElement(name, datatype);
  }
}

function fillBooleans(name: string, values: { [index: number]: number }, elements: readonly unknown[]) {
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index];
    if (typeof element !== 'boolean') throw wrongElement(name, 'BOOL');
    values[index] = element ? 1 : 0;
  }
}

// JSON numbers are exact only up to 2^53; larger 64-bit values travel as binary data.
function fillBig(
  name: string,
  datatype: Datatype,
  values: BigInt64Array | BigUint64Array,
  elements: readonly unknown[],
) {
  for (let index = 0; index < elements.length; index += 1) {
    const element = elements[index];
    if (typeof element !== 'number' || !Number.isSafeInteger(element)) throw wrongElement(name, datatype);
    values[index] = BigInt(element);
    if (values[index] !== BigInt(element)) throw wrongElement(name, datatype);
  }
}

function wrongElement(name: string, datatype: Datatype): GuardError {
  return new GuardError('request-invalid', `${name}: an element is not a ${datatype}`);
}

/** FP16 is kept as bits. */
function asNumbers<T extends { [index: number]: number }>(datatype: Datatype, values: T): T | Float16Array {
  return datatype === 'FP16' && values instanceof Uint16Array ? halves(values) : values;
}

/** The data as a flat JSON list. NaN, infinities and 64-bit integers beyond 2^53 throw `output-not-representable`. */
export function tensorToJson(tensor: TensorValue): readonly (number | string | boolean)[] {
  const { name, datatype, data } = tensor;
  const unrepresentable = (what: string) =>
    new GuardError('output-not-representable', `output ${name} holds ${what}, ask for it as binary data`);
  const elements = datatype === 'FP16' && data instanceof Uint16Array ? halves(data) : data;
  return Array.from<number | bigint | string, number | string | boolean>(elements, (element) => {
    if (typeof element === 'string') return element;
    if (datatype === 'BOOL') return element !== 0;
    const number = Number(element);
    if (!Number.isFinite(number)) throw unrepresentable('a value that is not finite');
    if (typeof element === 'bigint' && !Number.isSafeInteger(number)) throw unrepresentable('an integer beyond 2^53');
    return number;
  });
}
