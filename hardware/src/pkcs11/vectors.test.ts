// spec/vectors/secure-element: wrapped keys that a token must and must not open, and forms of CKA_EC_POINT. A software key replaces the
// token.
import assert from 'node:assert/strict';
import { createECDH, createPrivateKey, createPublicKey, diffieHellman, type KeyObject } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { wrappedKeySchema } from '@edgekeep/core/access/wrapped-key';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { encodeP256Point } from '@edgekeep/core/identity/p256-point';
import { HardwareError } from '../error.ts';
import { openWrappedKey } from './key-opening.ts';
import { parseEcPoint } from './token-keys.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/secure-element');

interface Comment {
  readonly comment: string;
  readonly code?: string;
}

interface WrappedKeyVector extends Comment {
  readonly kind: 'wrapped-key';
  /** The private scalar, which a real token would not reveal. */
  readonly agreementKey: string;
  readonly leaseId: string;
  readonly wrappedKey: object;
  readonly modelKey?: string;
}

interface EcPointVector extends Comment {
  readonly kind: 'ec-point';
  readonly value: string;
  readonly point?: string;
}

type Vector = WrappedKeyVector | EcPointVector;

function privateKeyOf(scalar: Uint8Array): KeyObject {
  const curve = createECDH('prime256v1');
  curve.setPrivateKey(scalar);
  const point = curve.getPublicKey();
  const [d, x, y] = [Buffer.from(scalar), point.subarray(1, 33), point.subarray(33)].map((each) =>
    each.toString('base64url'),
  );
  return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', d: d ?? '', x: x ?? '', y: y ?? '' }, format: 'jwk' });
}

async function outcomeOf(vector: Vector): Promise<string> {
  try {
    if (vector.kind === 'ec-point') return toHex(encodeP256Point(parseEcPoint(parseHex(vector.value, 'value'))));
    const privateKey = privateKeyOf(parseHex(vector.agreementKey, 'agreementKey'));
    const agree = async (publicKey: KeyObject) => diffieHellman({ privateKey, publicKey });
    const key = { publicKey: createPublicKey(privateKey), agree };
    return toHex(await openWrappedKey(wrappedKeySchema.parse(vector.wrappedKey), { leaseId: vector.leaseId }, key));
  } catch (error) {
    if (error instanceof HardwareError || error instanceof CoreError) return error.code;
    throw error;
  }
}

for (const validity of ['valid', 'invalid'] as const) {
  for (const file of readdirSync(join(folder, validity))) {
    const vector: Vector = JSON.parse(readFileSync(join(folder, validity, file), 'utf8'));
    test(`${validity} vector ${file}: ${vector.comment}`, async () => {
      const good = vector.kind === 'ec-point' ? vector.point : vector.modelKey;
      assert.equal(await outcomeOf(vector), validity === 'valid' ? good : vector.code);
    });
  }
}
