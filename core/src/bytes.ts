// Reading and writing big-endian binary structures, and the text forms of bytes. Every read is bounds-checked:
// an attacker chooses the lengths inside evidence, logs, certificates and sealed files.
import { timingSafeEqual } from 'node:crypto';
import { CoreError } from './error.ts';

/** Reads big-endian values front to back; any read past the end throws `bytes-truncated`. The returned slices are views, not copies. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #offset = 0;
  readonly #what: string;

  /** `what` names the structure in error messages. */
  constructor(bytes: Uint8Array, what: string) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
  }

  get offset(): number {
    return this.#offset;
  }

  get remaining(): number {
    return this.#bytes.length - this.#offset;
  }

  bytes(length: number): Uint8Array {
    if (!Number.isSafeInteger(length) || length < 0 || length > this.remaining) {
      throw new CoreError(
        'bytes-truncated',
        `${this.#what}: expected ${length} more bytes at offset ${this.#offset}, found ${this.remaining}`,
      );
    }
    const slice = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    return slice;
  }

  u8(): number {
    const at = this.#advance(1);
    return this.#view.getUint8(at);
  }

  u16(littleEndian = false): number {
    const at = this.#advance(2);
    return this.#view.getUint16(at, littleEndian);
  }

  u32(littleEndian = false): number {
    const at = this.#advance(4);
    return this.#view.getUint32(at, littleEndian);
  }

  u64(littleEndian = false): bigint {
    const at = this.#advance(8);
    return this.#view.getBigUint64(at, littleEndian);
  }

  /** A byte string after its own 16-bit length (the TPM2B form); `maxLength` limits it. */
  sized16(maxLength = 0xffff): Uint8Array {
    const length = this.u16();
    if (length > maxLength) {
      throw new CoreError(
        'bytes-too-long',
        `${this.#what}: a field of ${length} bytes, at most ${maxLength} are allowed`,
      );
    }
    return this.bytes(length);
  }

  /** Asserts that everything was read: trailing bytes are refused. */
  end(): void {
    if (this.remaining !== 0) {
      throw new CoreError('bytes-trailing', `${this.#what}: ${this.remaining} bytes after its end`);
    }
  }

  #advance(length: number): number {
    const at = this.#offset;
    this.bytes(length);
    return at;
  }
}

/** Writes big-endian values; `finish()` returns the bytes. Small arrays are made without a view of their buffer, which V8 would have to allocate apart. */
export class ByteWriter {
  readonly #parts: Uint8Array[] = [];

  bytes(value: Uint8Array): this {
    this.#parts.push(value);
    return this;
  }

  u8(value: number): this {
    return this.bytes(Uint8Array.of(value));
  }

  u16(value: number): this {
    return this.bytes(Uint8Array.of(value >>> 8, value));
  }

  u32(value: number): this {
    return this.bytes(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
  }

  u64(value: bigint): this {
    const part = new Uint8Array(8);
    new DataView(part.buffer).setBigUint64(0, value);
    return this.bytes(part);
  }

  /** A byte string after its own 16-bit length (the TPM2B form). */
  sized16(value: Uint8Array): this {
    if (value.length > 0xffff) {
      throw new CoreError('bytes-too-long', `a 16-bit sized field of ${value.length} bytes`);
    }
    return this.u16(value.length).bytes(value);
  }

  finish(): Uint8Array {
    return concat(...this.#parts);
  }
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const whole = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}

/** Constant-time in the contents; lengths are public. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function utf8(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Strict UTF-8: refuses invalid sequences instead of replacing them. */
export function parseUtf8(bytes: Uint8Array, what: string): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new CoreError('encoding-invalid', `${what}: not valid UTF-8`, { cause });
  }
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
}

/** Lower- or upper-case hex of even length; anything else throws. */
export function parseHex(text: string, what: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text)) {
    throw new CoreError('encoding-invalid', `${what}: expected an even number of hex digits`);
  }
  return Buffer.from(text, 'hex');
}

export function toBase64url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64url');
}

/** Unpadded base64url in its one canonical form (RFC 4648 section 5); anything else throws. */
export function parseBase64url(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) {
    throw new CoreError('encoding-invalid', `${what}: expected canonical unpadded base64url`);
  }
  return bytes;
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

/** Padded base64 in its one canonical form (RFC 4648 section 4); anything else throws. */
export function parseBase64(text: string, what: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) {
    throw new CoreError('encoding-invalid', `${what}: expected canonical padded base64`);
  }
  return bytes;
}
