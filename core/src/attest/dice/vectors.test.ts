// The vectors of spec/vectors/dice: extensions and chains, some of them published by others.
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { describe, test } from 'node:test';
import { parseBase64, parseHex, toHex } from '../../bytes.ts';
import { derExplicit, derInteger, derOctetString, derOid, derSequence } from '../../der.ts';
import { CoreError } from '../../error.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { encodeP256Point } from '../../identity/p256-point.ts';
import { validateDiceChain } from './chain.ts';
import type { FlagSet } from './flags.ts';
import { fwidText } from './fwid.ts';
import { sealingKeyOf } from './sealing-key.ts';
import { parseMultiTcbInfo, parseTcbInfo, parseUeid, type ReadTcbInfo } from './tcb-info.ts';
import { encodeTcbInfo, multiTcbInfoExtension, ueidExtension } from './testing-tcb-info.ts';
import {
  chainVectors,
  type SealingVector,
  sealingVectors,
  type TcbInfoVector,
  tcbInfoVectors,
} from './testing-vectors.ts';

function parsed({ kind, der }: TcbInfoVector): readonly ReadTcbInfo[] {
  const bytes = parseHex(der, 'vector');
  return kind === 'one' ? [parseTcbInfo(bytes)] : parseMultiTcbInfo(bytes);
}

const flagTexts = ({ named, unnamed }: FlagSet) => [...named, ...unnamed.map(String)];

// In the form of the vector: bytes in hex, digests and flags as text, the number of registers.
function shown(info: ReadTcbInfo): unknown {
  const { der: _, fwids, flags, flagsMask, vendorInfo, type, integrityRegisters, ...rest } = info;
  return JSON.parse(
    JSON.stringify({
      ...rest,
      fwids: fwids?.map(fwidText),
      flags: flags === undefined ? undefined : flagTexts(flags),
      flagsMask: flagsMask === undefined ? undefined : flagTexts(flagsMask),
      vendorInfo: vendorInfo === undefined ? undefined : toHex(vendorInfo),
      type: type === undefined ? undefined : toHex(type),
      integrityRegisters: integrityRegisters?.length,
    }),
  );
}

describe('TcbInfo vectors', () => {
  for (const vector of tcbInfoVectors()) {
    test(`${vector.file}: ${vector.comment}`, () => {
      if (vector.outcome !== 'parses') {
        assert.throws(
          () => parsed(vector),
          (error: unknown) => error instanceof CoreError && error.code === vector.outcome,
        );
        return;
      }
      const infos = parsed(vector);
      assert.deepEqual(infos.map(shown), vector.expected);
      // The encoder leaves out bits without meaning: the zero bits that some implementations write, and fixedWidth.
      if (vector.file.startsWith('flags-')) return;
      const again = vector.kind === 'one' ? infos.map(encodeTcbInfo)[0] : multiTcbInfoExtension(infos).value;
      assert.equal(toHex(again ?? new Uint8Array(0)), vector.der);
    });
  }
});

describe('chain vectors', () => {
  for (const vector of chainVectors()) {
    test(`${vector.file}: ${vector.comment}`, () => {
      const read = (texts: readonly string[]) => texts.map((text) => parseCertificate(parseBase64(text, 'vector')));
      const trust = { anchors: read(vector.anchors), intermediates: [] };
      const result = validateDiceChain(read(vector.certificates), trust, vector.atSeconds);
      if (result.kind === 'refused') {
        assert.equal(result.reasons[0]?.code, vector.outcome);
        return;
      }
      assert.equal(vector.outcome, 'valid');
      const layers = result.layers.map(({ layer, index, tcbInfo }) => {
        return { layer, index, fwids: (tcbInfo.fwids ?? []).map(fwidText) };
      });
      assert.deepEqual(layers, vector.layers);
    });
  }
});

const curveOids = { 'p-256': '1.2.840.10045.3.1.7', 'p-384': '1.3.132.0.34', 'p-521': '1.3.132.0.35' } as const;

function aliasKeyOf({ kind, secret }: SealingVector): KeyObject {
  const bytes = parseHex(secret, 'secret');
  if (kind === 'ed25519') {
    const inner = derOctetString(bytes);
    const pkcs8 = derSequence(derInteger(0), derSequence(derOid('1.3.101.112')), derOctetString(inner));
    return createPrivateKey({ key: Buffer.from(pkcs8), format: 'der', type: 'pkcs8' });
  }
  const sec1 = derSequence(derInteger(1), derOctetString(bytes), derExplicit(0, derOid(curveOids[kind])));
  return createPrivateKey({ key: Buffer.from(sec1), format: 'der', type: 'sec1' });
}

describe('sealing key vectors', () => {
  for (const vector of sealingVectors()) {
    test(`${vector.file}: ${vector.comment}`, () => {
      const key = sealingKeyOf(aliasKeyOf(vector));
      assert.equal(
        Buffer.from(key.export({ format: 'jwk' }).d ?? '', 'base64url').toString('hex'),
        vector.sealingScalar,
      );
      assert.equal(toHex(encodeP256Point(createPublicKey(key))), vector.sealingKey);
    });
  }
});

test('a UEID is read back as it was written, and none is refused', () => {
  const ueid = Uint8Array.from({ length: 17 }, (_, index) => index);
  assert.equal(toHex(parseUeid(ueidExtension(ueid).value)), toHex(ueid));
  for (const length of [0, 34]) {
    assert.throws(() => parseUeid(ueidExtension(new Uint8Array(length)).value), CoreError);
  }
});
