// One key in the forms of SEC 1, RFC 4055 and RFC 5480, for tests: a foreign certificate may contain them, and an attacker may try them.
import { ECDH, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { contextTag, DerReader, derBitString, derInteger, derNull, derOid, derSequence, derValue } from '../der.ts';
import { algorithmOid, curveOid, keyOid } from './oid.ts';

export interface KeyForms {
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
  readonly canonical: Uint8Array;
  /** By the name of the form. */
  readonly others: Readonly<Record<string, Uint8Array>>;
}

/** A P-256 key, compressed, hybrid, and with its curve's parameters written out (SEC 1 section C.2). */
export function p256Forms(): KeyForms {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const canonical = publicKey.export({ format: 'der', type: 'spki' });
  const point = canonical.subarray(-65);
  const named = derSequence(derOid(keyOid.ecPublicKey), derOid(curveOid.prime256v1));
  const converted = (form: 'compressed' | 'hybrid') => {
    const bytes = ECDH.convertKey(point, 'prime256v1', undefined, undefined, form);
    return derSequence(named, derBitString(Buffer.from(bytes)));
  };
  const explicit = derSequence(derSequence(derOid(keyOid.ecPublicKey), p256Parameters()), derBitString(point));
  const others = { compressed: converted('compressed'), hybrid: converted('hybrid'), explicit };
  return { privateKey, publicKey, canonical, others };
}

const hex = (text: string) => Buffer.from(text, 'hex');

function p256Parameters(): Uint8Array {
  const prime = hex('ffffffff00000001000000000000000000000000ffffffffffffffffffffffff');
  const a = hex('ffffffff00000001000000000000000000000000fffffffffffffffffffffffc');
  const b = hex('5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b');
  const generator = hex(
    '046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5',
  );
  const order = hex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551');
  const field = derSequence(derOid('1.2.840.10045.1.1'), derInteger(prime));
  const curve = derSequence(derValue(0x04, a), derValue(0x04, b));
  return derSequence(derInteger(1), field, curve, derValue(0x04, generator), derInteger(order), derInteger(1));
}

/** An RSA key without the NULL of its parameters, and marked as other schemes mark it. */
export function rsaForms(): KeyForms {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const canonical = publicKey.export({ format: 'der', type: 'spki' });
  const info = new DerReader(canonical, 'key').inside();
  info.inside();
  const bits = derBitString(info.octetsInBitString());
  const marked = (...parameters: readonly Uint8Array[]) => derSequence(derSequence(...parameters), bits);
  const sha256 = derSequence(derOid(algorithmOid.sha256), derNull());
  const pss = derSequence(
    derValue(contextTag(0, true), sha256),
    derValue(contextTag(1, true), derSequence(derOid(algorithmOid.mgf1), sha256)),
    derValue(contextTag(2, true), derInteger(32)),
  );
  const others = {
    'without NULL': marked(derOid(algorithmOid.rsaEncryption)),
    'RSAES-OAEP': marked(derOid(algorithmOid.rsaOaep), derSequence()),
    'RSASSA-PSS': marked(derOid(algorithmOid.rsaPss), pss),
  };
  return { privateKey, publicKey, canonical, others };
}
