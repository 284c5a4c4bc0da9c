import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { modelNameSchema } from './model-release.ts';
import { apiTokenRequest, personNameSchema } from './people.ts';
import { attributesSchema, reportedAttributesSchema } from './attributes.ts';
import { deviceIdSchema } from './device.ts';
import { countryNetworks } from './policy.ts';
import { groupNameSchema, tagRequest, tagsSchema } from './registry.ts';
import { siteNameSchema, siteRequest } from './site.ts';
import { anyCharacter } from '@edgekeep/core/testing-text';

test('one network in three spellings is one network of a site and of the table of countries', () => {
  const networks = ['2001:db8::/32', '2001:0db8::/32', '2001:DB8::/32'];
  assert.deepEqual(siteRequest.parse({ name: 'graz', networks }).networks, ['2001:db8::/32']);
  const table = countryNetworks.parse({ networks: networks.map((network) => ({ network, country: 'AT' })) });
  assert.deepEqual([...new Set(table.networks.map(({ network }) => network))], ['2001:db8::/32']);
  const contradicting = networks.map((network, at) => ({ network, country: ['AT', 'DE', 'CH'][at] }));
  const refused = countryNetworks.safeParse({ networks: contradicting });
  assert.match(refused.error?.issues[0]?.message ?? '', /2001:db8::\/32 comes twice, as AT and as DE/);
  const mapped = siteRequest.safeParse({ name: 'graz', networks: ['::ffff:10.1.0.0/112'] });
  assert.match(mapped.error?.issues[0]?.message ?? '', /not written mapped into IPv6/);
});

test('tags of two spellings are one, and one that hides what it is is refused by the number of the character', () => {
  const nfd = 'Werkhalle Su\u0308d';
  assert.deepEqual(tagsSchema.parse({ line: nfd }), { line: 'Werkhalle Süd' });
  assert.deepEqual(tagsSchema.parse({ line: ' press\u00a07 ' }), { line: 'press 7' });
  for (const value of ['press\u202e7', 'a\u0000', '\u200b', ' ', '']) {
    assert.equal(tagRequest.safeParse({ set: { line: value } }).success, false, JSON.stringify(value));
  }
  const refused = tagsSchema.safeParse({ line: 'press\u202e7' });
  assert.match(refused.error?.issues[0]?.message ?? '', /U\+202E/);
});

test('what an operator wants comes out in normal form C or is refused; what a device says is shown with a mark instead', () => {
  assert.deepEqual(attributesSchema.parse({ a: { b: ['e\u0301'] } }), { a: { b: ['é'] } });
  assert.deepEqual(attributesSchema.parse({ motd: 'one\n\ttwo' }), { motd: 'one\n\ttwo' });
  assert.equal(attributesSchema.safeParse({ a: { b: ['x\u2066y'] } }).success, false);
  assert.deepEqual(reportedAttributesSchema.parse({ cpu: 'i7\u0000', name: 'e\u0301\u202ex' }), {
    cpu: 'i7\ufffd',
    name: 'é\ufffdx',
  });
});

test('names are ASCII: no letter of another script, case or width makes a second one', () => {
  const schemas = {
    device: deviceIdSchema,
    group: groupNameSchema,
    site: siteNameSchema,
    model: modelNameSchema,
    person: personNameSchema,
    token: apiTokenRequest.shape.name,
  };
  for (const [kind, schema] of Object.entries(schemas)) {
    assert.equal(schema.safeParse('press-7').success, true, kind);
    for (const text of [
      'préss',
      'рress',
      'press\u200b',
      'ｐress',
      'press 7',
      'press\u0000',
      'İstanbul',
      ' press',
      '..',
      '-press',
      '',
    ]) {
      assert.equal(schema.safeParse(text).success, false, `${kind} ${JSON.stringify(text)}`);
    }
    fc.assert(
      fc.property(fc.string({ unit: anyCharacter, maxLength: 12 }), (text) => {
        // eslint-disable-next-line no-control-regex -- the set of printable ASCII is what is asked for
        if (schema.safeParse(text).success) assert.match(text, /^[\x21-\x7e]+$/);
      }),
    );
  }
});
