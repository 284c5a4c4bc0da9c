// The files from which an ONNX model takes weights. ONNX Runtime would open any path that the model names, so the guard reads the names
// first and refuses one that is not among the model's own files. Follows spec/guard.md section 5; the message is onnx.proto3.
import { GuardError } from '../error.ts';
import { protobufFields } from '../protobuf.ts';

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
  for (const { field, wire, bytes: value } of protobufFields(bytes, invalid)) {
    const inner = wanted[field];
    if (inner !== undefined && wire === 2) walk(value, inner, depth + 1, found);
  }
}

function addLocation(bytes: Uint8Array, found: Set<string>): void {
  const texts = new Map<number, string>();
  for (const { field, wire, bytes: value } of protobufFields(bytes, invalid)) {
    if (wire === 2) texts.set(field, new TextDecoder().decode(value));
  }
  if (texts.get(1) === 'location') found.add(texts.get(2) ?? '');
}

function invalid(why: string): GuardError {
  return new GuardError('model-load', `this is not an ONNX model: ${why}`);
}
