// DICE extensions and chains with changed bytes: the result is a named error, the signed content, or a refusal, and everything that parses
// is canonical.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { parseBase64, parseHex } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { parseCertificate } from '../../identity/certificate.ts';
import { validateDiceChain } from './chain.ts';
import { operationalFlags } from './flags.ts';
import { fwidAlgorithms } from './fwid.ts';
import { parseMultiTcbInfo, parseTcbInfo, type TcbInfo } from './tcb-info.ts';
import { encodeTcbInfo } from './testing-tcb-info.ts';
import { chainVectors, tcbInfoVectors } from './testing-vectors.ts';

const inputs = Number(process.env['EDGEKEEP_FUZZ_INPUTS'] ?? 2000);

function orNamedError(run: () => void): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
  }
}

const change = fc.record({
  at: fc.double({ min: 0, max: 0.999, noNaN: true }),
  byte: fc.integer({ min: 0, max: 255 }),
});

function changed(bytes: Uint8Array, changes: readonly { readonly at: number; readonly byte: number }[]): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (const { at, byte } of changes) copy[Math.floor(at * copy.length)] = byte;
  return copy;
}

// SECURITY.md: DEV-19
test('random bytes, and changed TcbInfos, are parsed or refused by name', () => {
  const seeds = tcbInfoVectors().map(({ der }) => parseHex(der, 'vector'));
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .tuple(fc.constantFrom(...seeds), fc.array(change, { minLength: 1, maxLength: 3 }))
      .map(([seed, changes]) => changed(seed, changes)),
  );
  fc.assert(
    fc.property(bytes, (found) => {
      orNamedError(() => parseMultiTcbInfo(found));
      orNamedError(() => {
        // If an encoder and a parser disagreed, one value would have two meanings: every parsed value must parse again after encoding.
        const { der: _, ...info } = parseTcbInfo(found);
        const { der: __, ...again } = parseTcbInfo(encodeTcbInfo(info));
        assert.deepEqual(again, info);
      });
    }),
    { numRuns: inputs },
  );
});

test('every TcbInfo within the limits is read back as it was written', () => {
  const text = fc.string({ maxLength: 40, unit: 'grapheme-ascii' });
  const number = fc.maxSafeNat();
  const digest = fc
    .constantFrom(...Object.values(fwidAlgorithms))
    .chain(({ oid, length }) =>
      fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => ({ algorithm: oid, digest: bytes })),
    );
  const fwids = fc.array(digest, { minLength: 1, maxLength: 16 });
  const flags = fc
    .uniqueArray(fc.constantFrom(...operationalFlags))
    .map((found) => ({ named: operationalFlags.filter((flag) => found.includes(flag)), unnamed: [] }));
  const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined });
  const plain = { noNullPrototype: true };
  const register = fc.record({ name: optional(text), number, digests: fwids }, plain);
  const info: fc.Arbitrary<TcbInfo> = fc.record(
    {
      vendor: optional(text),
      model: optional(text),
      version: optional(text),
      svn: optional(number),
      layer: optional(number),
      index: optional(number),
      fwids: optional(fwids),
      flags: optional(flags),
      vendorInfo: optional(fc.uint8Array({ maxLength: 100 })),
      type: optional(fc.uint8Array({ maxLength: 100 })),
      flagsMask: optional(flags),
      integrityRegisters: optional(fc.array(register, { minLength: 1, maxLength: 3 })),
    },
    plain,
  );
  fc.assert(
    fc.property(info, (value) => {
      const { der: _, ...read } = parseTcbInfo(encodeTcbInfo(value));
      assert.deepEqual(read, value);
    }),
    { numRuns: Math.ceil(inputs / 4) },
  );
});

test('a chain with a byte changed anywhere is refused or broken, never valid', () => {
  const valid = chainVectors().filter(({ outcome }) => outcome === 'valid');
  const cases = valid.map(({ certificates, anchors, atSeconds }) => {
    const read = (texts: readonly string[]) => texts.map((each) => parseBase64(each, 'vector'));
    return { ders: read(certificates), anchors: read(anchors).map(parseCertificate), atSeconds };
  });
  const at = fc.tuple(fc.nat(cases.length - 1), fc.nat(1_000), change);
  fc.assert(
    fc.property(at, ([index, which, one]) => {
      const found = cases[index];
      assert.ok(found !== undefined);
      const { ders, anchors, atSeconds } = found;
      const target = which % ders.length;
      const altered = ders.map((der, place) => (place === target ? changed(der, [one]) : der));
      if (altered.every((der, place) => Buffer.compare(der, ders[place] ?? new Uint8Array(0)) === 0)) return;
      orNamedError(() => {
        const result = validateDiceChain(altered.map(parseCertificate), { anchors, intermediates: [] }, atSeconds);
        assert.equal(result.kind, 'refused');
      });
    }),
    { numRuns: Math.ceil(inputs / 4) },
  );
});
