// Verifies an ECDSA signature over a digest that is known only as a digest (FIPS 186-5, 6.4.2): IMA signs the digest of a file, and the
// verifier has no file. Node hashes what it verifies, so the point R = u1 G + u2 Q is computed as u2 (Q + (u1 / u2) G): Node multiplies, and
// one addition of points is ours. Nothing here is secret.
import { createECDH, type KeyObject } from 'node:crypto';

interface Curve {
  /** As Node names it. */
  readonly name: string;
  readonly bytes: number;
  /** The field's prime; the order of the base point. */
  readonly p: bigint;
  readonly n: bigint;
}

const curves: Readonly<Record<string, Curve>> = {
  'P-256': {
    name: 'prime256v1',
    bytes: 32,
    p: 0xffffffff00000001000000000000000000000000ffffffffffffffffffffffffn,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
  },
  'P-384': {
    name: 'secp384r1',
    bytes: 48,
    p: 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffffn,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
  },
  'P-521': {
    name: 'secp521r1',
    bytes: 66,
    p: (1n << 521n) - 1n,
    n: (1n << 521n) - (1n << 260n) + 0xa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
  },
};

interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

export class PrehashedEcdsaKey {
  readonly #curve: Curve;
  readonly #point: Point;

  private constructor(curve: Curve, point: Point) {
    this.#curve = curve;
    this.#point = point;
  }

  /** Undefined for a key on another curve. Node has checked that the point is on its curve. */
  static of(key: KeyObject): PrehashedEcdsaKey | undefined {
    const { crv = '', x, y } = key.export({ format: 'jwk' });
    const curve = curves[crv];
    if (curve === undefined || x === undefined || y === undefined) return undefined;
    return new PrehashedEcdsaKey(curve, {
      x: numberOf(Buffer.from(x, 'base64url')),
      y: numberOf(Buffer.from(y, 'base64url')),
    });
  }

  /** `r` and `s` as they are in the signature; a digest that is longer than the order is cut, as the standard says. */
  verify(digest: Uint8Array, r: bigint, s: bigint): boolean {
    const { n, bytes, name } = this.#curve;
    if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
    const quotient = modulo(leftmostBits(digest, n) * inverse(r, n), n);
    const sum = quotient === 0n ? this.#point : this.#plus(multiple(this.#curve, quotient));
    if (sum === undefined) return false;
    const u2 = modulo(r * inverse(s, n), n);
    const ecdh = createECDH(name);
    ecdh.setPrivateKey(bytesOf(u2, bytes));
    const x = ecdh.computeSecret(encoded(sum, bytes));
    return modulo(numberOf(x), n) === r;
  }

  // Undefined where the points are equal or opposite: no signer can bring that about for a digest of its own choice.
  #plus(other: Point): Point | undefined {
    const { p } = this.#curve;
    const { x, y } = this.#point;
    if (x === other.x) return undefined;
    const slope = modulo((other.y - y) * inverse(modulo(other.x - x, p), p), p);
    const sumX = modulo(slope * slope - x - other.x, p);
    return { x: sumX, y: modulo(slope * (x - sumX) - y, p) };
  }
}

function multiple({ name, bytes }: Curve, factor: bigint): Point {
  const ecdh = createECDH(name);
  ecdh.setPrivateKey(bytesOf(factor, bytes));
  const point = ecdh.getPublicKey();
  return { x: numberOf(point.subarray(1, 1 + bytes)), y: numberOf(point.subarray(1 + bytes)) };
}

function leftmostBits(digest: Uint8Array, n: bigint): bigint {
  const surplus = digest.length * 8 - n.toString(2).length;
  const number = numberOf(digest);
  return surplus > 0 ? number >> BigInt(surplus) : number;
}

function encoded({ x, y }: Point, bytes: number): Uint8Array {
  return Buffer.concat([Uint8Array.of(4), bytesOf(x, bytes), bytesOf(y, bytes)]);
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex') || '0'}`);
}

function bytesOf(number: bigint, length: number): Uint8Array {
  return Buffer.from(number.toString(16).padStart(length * 2, '0'), 'hex');
}

function modulo(number: bigint, by: bigint): bigint {
  const rest = number % by;
  return rest < 0n ? rest + by : rest;
}

// The extended algorithm of Euclid; `of` is not 0.
function inverse(of: bigint, by: bigint): bigint {
  let [a, b] = [of, by];
  let [x, y] = [1n, 0n];
  while (b !== 0n) {
    const quotient = a / b;
    [a, b] = [b, a - quotient * b];
    [x, y] = [y, x - quotient * y];
  }
  return modulo(x, by);
}
