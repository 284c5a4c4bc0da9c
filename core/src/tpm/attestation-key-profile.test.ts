// Every file in spec/vectors/attest/attestation-key: a public area that is of a listed profile, or one that is refused with what it says.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { z } from 'zod';
import { parseHex } from '../bytes.ts';
import {
  assertListedAttestationKey,
  attestationKeyProfileOf,
  attestationKeyProblems,
} from './attestation-key-profile.ts';
import { attestationKeyProfiles } from './attestation-key-profiles.ts';
import { encodePublic, objectAttributes, parsePublic, type TpmPublic } from './public-area.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/attest/attestation-key');
const vector = z.strictObject({
  comment: z.string(),
  publicArea: z.string(),
  profile: z.string().optional(),
  says: z.string().optional(),
});
const vectors = readdirSync(folder).map((file) => ({
  file,
  ...vector.parse(JSON.parse(readFileSync(join(folder, file), 'utf8'))),
}));
const areaOf = (hex: string): TpmPublic => parsePublic(parseHex(hex, 'public area'));

for (const { file, comment, publicArea, profile, says } of vectors) {
  test(`attestation key vector ${file}: ${comment}`, () => {
    const area = areaOf(publicArea);
    assert.equal(attestationKeyProfileOf(area)?.name, profile);
    if (says === undefined) return assertListedAttestationKey(area);
    assert.throws(() => assertListedAttestationKey(area), { code: 'evidence-invalid' });
    const problems = attestationKeyProblems(area);
    assert.ok(
      problems.some((problem) => problem.includes(says)),
      problems.join('; '),
    );
  });
}

test('each profile has a vector, and no two profiles are one', () => {
  const shown = new Set(vectors.flatMap(({ profile }) => profile ?? []));
  assert.deepEqual(
    attestationKeyProfiles.filter(({ name }) => !shown.has(name)),
    [],
  );
  const forms = attestationKeyProfiles.map(({ template }) => Buffer.from(encodePublic(template)).toString('hex'));
  assert.equal(new Set(forms).size, forms.length);
});

// SECURITY.md: DEV-55
test('no profile lets in a key that may sign what its TPM did not make, or that can leave it', () => {
  const { fixedTpm, fixedParent, sensitiveDataOrigin, restricted, sign, decrypt, stClear, x509Sign } = objectAttributes;
  const wanted = fixedTpm | fixedParent | sensitiveDataOrigin | restricted | sign;
  for (const { name, template } of attestationKeyProfiles) {
    assert.equal(template.attributes & (wanted | decrypt | stClear | x509Sign), wanted, name);
    assert.notEqual(template.nameAlgorithm, 'sha1', name);
    assert.equal(template.authPolicy.length, 0, name);
    assert.ok(template.kind === 'rsa' ? template.keyBits >= 2_048 && template.exponent === 0 : true, name);
  }
});

// SECURITY.md: DEV-55
test('any one bit of the attributes makes a listed key another one, unless both are listed', () => {
  const listed = vectors.filter(({ profile }) => profile !== undefined).map(({ publicArea }) => areaOf(publicArea));
  const bits = Object.values(objectAttributes);
  fc.assert(
    fc.property(fc.constantFrom(...listed), fc.constantFrom(...bits), (area, bit) => {
      const changed = { ...area, attributes: area.attributes ^ bit };
      if (attestationKeyProfileOf(changed) !== undefined) assert.equal(bit, objectAttributes.noDictionaryAttack);
    }),
  );
});
