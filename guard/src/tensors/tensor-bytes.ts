// Tensor data as bytes: little-endian elements in row-major order; an element of BYTES is its length in four bytes, then its bytes. Follows
// spec/inference.md section 3 (the binary tensor data extension; raw contents of the gRPC flavor are the same).
import { GuardError } from '../error.ts';
import { datatypes, view, type Datatype, type TensorData, type TensorValue } from './tensor.ts';

const lengthBytes = 4;

/** Reads exactly `length` elements; anything missing or extra, and text that is not UTF-8, throws `request-invalid`. */
export function parseTensorBytes(name: string, datatype: Datatype, length: number, bytes: Uint8Array): TensorData {
  if (datatype === 'BYTES') return parseTexts(name, length, bytes);
  const expected = length * datatypes[datatype].bytes;
  if (bytes.length !== expected)
    throw invalid(`${name}: ${bytes.length} bytes of data, its shape and datatype say ${expected}`);
  // Typed arrays need alignment that a body does not promise.
  const copy = new ArrayBuffer(expected);
  new Uint8Array(copy).set(bytes);
  const values = view(datatype, copy);
  if (datatype === 'BOOL' && values instanceof Uint8Array && values.some((value) => value > 1)) {
    throw invalid(`${name}: a BOOL that is neither 0 nor 1`);
  }
  return values;
}

export function tensorBytes({ data }: TensorValue): Uint8Array {
  if (ArrayBuffer.isView(data)) return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  const texts = data.map((element) => Buffer.from(element));
  return Buffer.concat(texts.flatMap((text) => [littleEndian(text.length), text]));
}

/** One element of BYTES: the runtime has texts only, and its binding cuts them at NUL. */
export function parseText(name: string, bytes: Uint8Array): string {
  let text: string;
  try {
    // A byte order mark is a part of the text.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new GuardError('request-invalid', noText(name), { cause });
  }
  if (!isText(text)) throw invalid(noText(name));
  return text;
}

/** Whether the runtime takes a text as it is: a lone surrogate has no bytes in UTF-8. */
export function isText(text: string): boolean {
  return text.isWellFormed() && !text.includes('\0');
}

function noText(name: string): string {
  return `${name}: an element of BYTES is not text in UTF-8 without NUL, which is all that the runtime takes`;
}

function parseTexts(name: string, length: number, bytes: Uint8Array): readonly string[] {
  const whole = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const texts: string[] = [];
  let at = 0;
  while (texts.length < length) {
    if (at + lengthBytes > bytes.length) throw invalid(`${name}: ${texts.length} elements, its shape says ${length}`);
    const size = whole.getUint32(at, true);
    at += lengthBytes;
    if (size > bytes.length - at) throw invalid(`${name}: an element ends after its data does`);
    texts.push(parseText(name, bytes.subarray(at, at + size)));
    at += size;
  }
  if (at !== bytes.length) throw invalid(`${name}: more bytes of data than its ${length} elements`);
  return texts;
}

function littleEndian(length: number): Uint8Array {
  const bytes = Buffer.alloc(lengthBytes);
  bytes.writeUInt32LE(length);
  return bytes;
}

function invalid(message: string): GuardError {
  return new GuardError('request-invalid', message);
}
