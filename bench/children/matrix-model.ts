// Writes an ONNX model of any size for bench/open-model.ts: a row of numbers through square matrices. `matrix-model.ts OUT WIDTH LAYERS`.
// ONNX is a protobuf message (onnx.proto3); only the fields that such a model needs are written here.
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';

const [out = '', widthText, layersText] = process.argv.slice(2);
const width = Number(widthText);
const layers = Number(layersText);

// Wire types of protobuf: 0 is a varint, 2 is length-delimited.
function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

const integer = (field: number, value: number) => Buffer.concat([varint(field * 8), varint(value)]);
const opening = (field: number, length: number) => Buffer.concat([varint(field * 8 + 2), varint(length)]);
const message = (field: number, ...parts: readonly Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([opening(field, body.length), body]);
};
const text = (field: number, value: string) => message(field, Buffer.from(value));

const float32 = 1;

/** ValueInfoProto of a 1 x width row. */
function row(field: number, name: string): Buffer {
  const dimensions = [message(1, integer(1, 1)), message(1, integer(1, width))];
  return message(field, text(1, name), message(2, message(1, integer(1, float32), message(2, ...dimensions))));
}

/** NodeProto: next = MatMul(previous, weights). */
function layer(index: number): Buffer {
  return message(1, text(1, `x${index}`), text(1, `w${index}`), text(2, `x${index + 1}`), text(4, 'MatMul'));
}

// Small weights, so that no number overflows: the exponent's top bits are cleared.
function weights(): Buffer {
  const bytes = randomBytes(width * width * 4);
  for (let at = 3; at < bytes.length; at += 4) bytes[at] = ((bytes[at] ?? 0) & 0x80) | 0x3c;
  return bytes;
}

const shape = [integer(1, width), integer(1, width), integer(2, float32)];
const initializerHeads = Array.from({ length: layers }, (_, index) => Buffer.concat([...shape, text(8, `w${index}`)]));
const rawLength = width * width * 4;
const raw = opening(9, rawLength);
const initializerLength = (head: Buffer) => head.length + raw.length + rawLength;
const nodes = Buffer.concat(Array.from({ length: layers }, (_, index) => layer(index)));
const ends = Buffer.concat([text(2, 'matrices'), row(11, 'x0'), row(12, `x${layers}`)]);
const initializersLength = initializerHeads.reduce((sum, head) => {
  const length = initializerLength(head);
  return sum + opening(5, length).length + length;
}, 0);

const file = openSync(out, 'w');
const write = (bytes: Buffer) => {
  for (let done = 0; done < bytes.length;) done += writeSync(file, bytes, done);
};
write(Buffer.concat([integer(1, 8), message(8, integer(2, 17))]));
write(opening(7, nodes.length + ends.length + initializersLength));
write(nodes);
for (const head of initializerHeads) {
  write(opening(5, initializerLength(head)));
  write(head);
  write(raw);
  write(weights());
}
write(ends);
closeSync(file);
