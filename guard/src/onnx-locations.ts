// The files from which an ONNX model takes weights. ONNX Runtime would open any path that the model names, so the guard reads the names
// first and refuses one that is not among the model's own files. Follows spec/guard.md section 5; the message is onnx.proto3.
import { GuardError } from './error.ts';

/** Fields that lead to a TensorProto, by message; a message that is not listed contains none. */
const paths = {
  model: { 7: 'graph', 25: 'function' },
  graph: { 1: 'node', 5: 'tensor', 15: 'sparse' },
  function: { 7: 'node' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph', 10: 'tensor', 11: 'graph', 22: 'sparse', 23: 'sparse' },
  sparse: { 1: 'tensor', 2: 'tensor' },
  tensor: { 13: 'entry' },
  entry: {},
} as const;

type Kind = keyof typeof paths;

/** Graphs inside one another: models in use have two or three. */
const DEPTH_MAX = 64;

/** The `location` of each tensor whose data is in another file. @throws GuardError `model-load` for bytes that are no protobuf message */
export function externalLocations(model: Uint8Array): ReadonlySet<string> {
  const found = new Set<string>();
  walk(model, 'model', 0, found);
  return found;
}

function walk(bytes: Uint8Array, kind: Kind, depth: number, found: Set<string>): void {
  if (depth > DEPTH_MAX) throw invalid('it is nested too deeply');
  if (kind === 'entry') return addLocation(bytes, found);
  const wanted: Readonly<Record<number, Kind>> = paths[kind];
  for (const { field, value } of fields(bytes)) {
    const inner = wanted[field];
    if (inner !== undefined && value !== undefined) walk(value, inner, depth + 1, found);
  }
}

function addLocation(bytes: Uint8Array, found: Set<string>): void {
  const texts = new Map<number, string>();
  for (const { field, value } of fields(bytes)) {
    if (value !== undefined) texts.set(field, new TextDecoder().decode(value));
  }
  if (texts.get(1) === 'location') found.add(texts.get(2) ?? '');
}

/** The fields of one message; varints and fields of a fixed size have no value here. */
function* fields(bytes: Uint8Array): Generator<{ readonly field: number; readonly value: Uint8Array | undefined }> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined) throw invalid('it ends inside a number');
      // Lengths above 2^53 do not fit any file; such a number is only skipped.
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw invalid('a number is too long');
  };
  while (at < bytes.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    let value: Uint8Array | undefined;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      if (length > bytes.length - at) throw invalid('it is cut short');
      value = bytes.subarray(at, at + length);
      at += length;
    } else throw invalid(`it has a field of unknown kind ${wire}`);
    if (at > bytes.length) throw invalid('it is cut short');
    yield { field, value };
  }
}

function invalid(why: string): GuardError {
  return new GuardError('model-load', `this is not an ONNX model: ${why}`);
}
