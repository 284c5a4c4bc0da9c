import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { findCaller } from './api-token.ts';
import { tokenPayer } from './token-payer.ts';
import { addToken } from './token-store.ts';

// SECURITY.md: HUB-42
test('all tokens of a person pay as one, and all services that came of a person’s tokens as one more', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-payer-'));
  try {
    await using database = await Database.open(await storePlace(folder));
    // Each token, its owner, and the token that it derives from.
    const tokens: readonly (readonly [string, string | undefined, string | undefined])[] = [
      ['laptop', 'ada', undefined],
      ['phone', 'ada', 'laptop'],
      ['ci', undefined, 'phone'],
      ['ci-of-ci', undefined, 'ci'],
      ['bens', 'ben', undefined],
      ['first', undefined, undefined],
      ['of-first', undefined, 'first'],
      ['old', undefined, 'gone'],
    ];
    await database.write(async (trx) => {
      for (const name of ['ada', 'ben'])
        await trx
          .insertInto('person')
          .values({ name, added_at: 1, disabled_at: null, disabled_reason: null })
          .execute();
      for (const [sha256, person, derivedFrom] of tokens) {
        const grants = { roles: [], scopes: ['devices:read'], expiresAtMs: 1_000, actor: 'a test', nowMs: 1 };
        await addToken(trx, { ...grants, sha256, name: sha256, person, derivedFrom });
      }
    });
    const payers: [string, string][] = [];
    for (const [sha256] of tokens) {
      const caller = await findCaller(database.read, sha256, 1);
      assert.ok(typeof caller !== 'string', sha256);
      payers.push([sha256, await tokenPayer(database.read, caller)]);
    }
    assert.deepEqual(payers, [
      ['laptop', 'person:ada'],
      ['phone', 'person:ada'],
      ['ci', 'services of ada'],
      ['ci-of-ci', 'services of ada'],
      ['bens', 'person:ben'],
      ['first', 'token:first'],
      ['of-first', 'token:first'],
      ['old', 'token:old'],
    ]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
