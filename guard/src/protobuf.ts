// The wire format of Protocol Buffers (protobuf.dev, "Encoding"): fields of one message, read and written. Which fields there are is the
// business of its users.

/** A varint's `number` is exact up to 64 bits; `bytes` are those of a length-delimited or fixed-size field. */
export interface ProtobufField {
  readonly field: number;
  readonly wire: number;
  readonly number: bigint;
  readonly bytes: Uint8Array;
}

const wireTypes = { varint: 0, fixed64: 1, delimited: 2, fixed32: 5 } as const;
const none = new Uint8Array();
// Ten groups of seven bits.
const VARINT_BYTES_MAX = 10;

/** Throws what `invalid` makes of the reason for bytes that are no message. */
export function* protobufFields(bytes: Uint8Array, invalid: (why: string) => Error): Generator<ProtobufField> {
  let at = 0;
  const take = (length: number): Uint8Array => {
    if (length > bytes.length - at) throw invalid('it is cut short');
    at += length;
    return bytes.subarray(at - length, at);
  };
  const varint = () => {
    const read = readVarint(bytes, at, invalid);
    at = read.end;
    return read.number;
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const field = Math.floor(tag / 8);
    const wire = tag % 8;
    if (wire === wireTypes.varint) yield { field, wire, number: varint(), bytes: none };
    else if (wire === wireTypes.fixed64) yield { field, wire, number: 0n, bytes: take(8) };
    else if (wire === wireTypes.fixed32) yield { field, wire, number: 0n, bytes: take(4) };
    else if (wire === wireTypes.delimited) yield { field, wire, number: 0n, bytes: take(Number(varint())) };
    else throw invalid(`it has a field of unknown kind ${wire}`);
  }
}

/** The numbers of a repeated varint field in either form: one by one, or packed. */
export function* packedVarints(field: ProtobufField, invalid: (why: string) => Error): Generator<bigint> {
  if (field.wire === wireTypes.varint) {
    yield field.number;
    return;
  }
  for (let at = 0; at < field.bytes.length;) {
    const { number, end } = readVarint(field.bytes, at, invalid);
    at = end;
    yield number;
  }
}

function readVarint(bytes: Uint8Array, from: number, invalid: (why: string) => Error): { number: bigint; end: number } {
  // Numbers of up to 28 bits are almost all of them, and need no bigint on the way.
  let small = 0;
  for (let index = 0; index < 4; index += 1) {
    const byte = bytes[from + index];
    if (byte === undefined) throw invalid('it ends inside a number');
    small += (byte & 0x7f) << (7 * index);
    if (byte < 0x80) return { number: BigInt(small), end: from + index + 1 };
  }
  let number = BigInt(small);
  for (let index = 4; index < VARINT_BYTES_MAX; index += 1) {
    const byte = bytes[from + index];
    if (byte === undefined) throw invalid('it ends inside a number');
    number |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return { number: BigInt.asUintN(64, number), end: from + index + 1 };
  }
  throw invalid('a number is too long');
}

/** One message, field by field; a field with its default is left out, as proto3 does. */
export class ProtobufWriter {
  readonly #parts: Uint8Array[] = [];

  varint(field: number, value: number | bigint | boolean): this {
    const number = BigInt(value);
    return number === 0n ? this : this.choice(field, number);
  }

  /** Also a default: for the choice of a oneof, whose default is not "left out". */
  choice(field: number, value: number | bigint | boolean): this {
    this.#parts.push(varintBytes(BigInt(field * 8)), varintBytes(BigInt(value)));
    return this;
  }

  double(field: number, value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.#parts.push(varintBytes(BigInt(field * 8 + wireTypes.fixed64)), bytes);
    return this;
  }

  text(field: number, value: string): this {
    return value === '' ? this : this.bytes(field, Buffer.from(value));
  }

  /** Also an empty one: an element of a repeated field is never left out. */
  bytes(field: number, value: Uint8Array): this {
    const tag = varintBytes(BigInt(field * 8 + wireTypes.delimited));
    this.#parts.push(tag, varintBytes(BigInt(value.length)), value);
    return this;
  }

  message(field: number, write: (writer: ProtobufWriter) => ProtobufWriter): this {
    return this.bytes(field, write(new ProtobufWriter()).end());
  }

  packed(field: number, values: readonly (number | bigint)[]): this {
    return values.length === 0
      ? this
      : this.bytes(field, Buffer.concat(values.map((value) => varintBytes(BigInt(value)))));
  }

  end(): Uint8Array {
    return Buffer.concat(this.#parts);
  }
}

/** A negative number takes ten bytes, as a 64-bit one. */
function varintBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  return Uint8Array.from([...bytes, Number(rest)]);
}
