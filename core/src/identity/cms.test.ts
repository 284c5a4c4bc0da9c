import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseBase64, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { parseJson } from '../json.ts';
import { encodeCsrAttributes } from './cms-attributes.ts';
import { encodeCertificates, parseCertificates } from './cms-certificates.ts';

const folder = new URL('../../../spec/vectors/identity/cms/', import.meta.url);
const schema = z.strictObject({
  comment: z.string(),
  outcome: z.string(),
  message: z.string(),
  certificates: z.int().optional(),
});
const refused = (code: string) => (error: unknown) => error instanceof CoreError && error.code === code;

for (const name of readdirSync(folder)) {
  const vector = parseJson(readFileSync(new URL(name, folder)), schema, name);
  test(`certificates in CMS, vector ${name}: ${vector.comment}`, () => {
    const der = parseBase64(vector.message, name);
    if (vector.outcome === 'parses') assert.equal(parseCertificates(der).length, vector.certificates);
    else assert.throws(() => parseCertificates(der), refused(vector.outcome));
  });
}

const valid = parseBase64(parseJson(readFileSync(new URL('valid.json', folder)), schema, 'valid').message, 'valid');

test('certificates come out of the message they were put into, and it is the same in any order', () => {
  const certificates = parseCertificates(valid);
  const texts = (list: readonly { der: Uint8Array }[]) => list.map(({ der }) => toHex(der)).toSorted();
  const message = encodeCertificates(certificates);
  assert.deepEqual(texts(parseCertificates(message)), texts(certificates));
  assert.equal(toHex(encodeCertificates(certificates.toReversed())), toHex(message));
});

test('a message with octets changed, cut or put in throws only cms-invalid', () => {
  const edit = fc.record({ at: fc.nat(valid.length - 1), remove: fc.nat(3), insert: fc.uint8Array({ maxLength: 3 }) });
  fc.assert(
    fc.property(edit, ({ at, remove, insert }) => {
      try {
        parseCertificates(Uint8Array.from([...valid].toSpliced(at, remove, ...insert)));
      } catch (error) {
        assert.ok(refused('cms-invalid')(error), String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

test('attributes for requests are the octets of X.690', () => {
  const attributes = encodeCsrAttributes([
    '1.2.840.10045.4.3.2',
    { oid: '1.2.840.10045.2.1', values: ['1.2.840.10045.3.1.7'] },
  ]);
  assert.equal(toHex(attributes), '302106082a8648ce3d040302301506072a8648ce3d0201310a06082a8648ce3d030107');
});
