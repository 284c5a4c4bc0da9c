// Runs every vector of spec/vectors/platform-secrets/.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseHex, toHex } from '@edgekeep/core/bytes';
import { z } from 'zod';
import { parseSealedFile } from './sealed-file.ts';
import { openSealedKeys } from './sealed-keys.ts';
import { parseShare } from './share.ts';
import type { Offer } from './unlock.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/platform-secrets');
const names = readdirSync(folder);

const sealedVector = z.strictObject({
  comment: z.string(),
  file: z.unknown(),
  offers: z.strictObject({ passphrase: z.string(), shares: z.array(z.string()), program: z.string() }),
  entries: z.record(z.string(), z.string()).optional(),
  error: z.string().optional(),
});
const shareVector = z.strictObject({
  comment: z.string(),
  text: z.string(),
  share: z.unknown().optional(),
  error: z.string().optional(),
});

const read = (name: string): unknown => JSON.parse(readFileSync(join(folder, name), 'utf8'));

for (const name of names.filter((each) => each.startsWith('sealed-'))) {
  const { comment, file, offers, entries, error } = sealedVector.parse(read(name));
  test(`${name}: ${comment}`, async () => {
    const all: readonly Offer[] = [
      { kind: 'passphrase', passphrase: offers.passphrase },
      { kind: 'shares', shares: offers.shares.map(parseShare) },
      { kind: 'program', secret: parseHex(offers.program, name) },
    ];
    for (const offer of all) {
      const opened = open(file, offer);
      if (error === undefined) assert.deepEqual(await opened, entries);
      else await assert.rejects(opened, { code: error });
    }
  });
}

for (const name of names.filter((each) => each.startsWith('share-'))) {
  const { comment, text, share, error } = shareVector.parse(read(name));
  test(`${name}: ${comment}`, () => {
    if (error !== undefined) assert.throws(() => parseShare(text), { code: error });
    else {
      const { set, value, ...numbers } = parseShare(text);
      assert.deepEqual({ ...numbers, set: toHex(set), value: toHex(value) }, share);
    }
  });
}

test('there are vectors of both kinds', () => {
  assert.ok(names.length >= 10, `found ${names.length}`);
});

async function open(file: unknown, offer: Offer): Promise<Record<string, string>> {
  const parsed = parseSealedFile(Buffer.from(JSON.stringify(file)), 'vector');
  const keys = await openSealedKeys('/nonexistent', parsed, offer);
  return Object.fromEntries(parsed.entries.map((entry) => [entry.name, toHex(keys.open(entry))]));
}
