import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sql } from 'kysely';
import { z } from 'zod';
import { Database } from '../../store/database.ts';
import { storePlace } from '../../store/testing-place.ts';
import { establish } from '../../store/authority.ts';
import { openTestingListener } from './testing-server.ts';

const counted = sql<{ n: number }>`with recursive n(i) as (select 1 union all select i + 1 from n where i < 300000)
  select count(*) as n from n`;

// SECURITY.md: HUB-42
test('each kind of work for a request is charged to its payer: queries here and apart, writes, bodies, answers', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-work-'));
  try {
    await using database = await Database.open(await storePlace(folder));
    await using listener = await openTestingListener((app) => {
      app.get('/nothing', async () => 'done');
      app.get('/query', async () => (await counted.execute(database.read)).rows.length.toString());
      app.get('/apart', async () => (await counted.execute(database.readApart)).rows.length.toString());
      app.get('/write', async () => {
        establish({ name: 'a test', stands: () => Promise.resolve() });
        return database.write(async (trx) => (await counted.execute(trx)).rows.length.toString());
      });
      const list = z.object({ list: z.array(z.object({ n: z.number(), text: z.string() })) });
      app.get('/answer', { schema: { response: { 200: list } } }, async () => ({
        list: Array.from({ length: 20_000 }, (_, n) => ({ n, text: 'some text' })),
      }));
      app.post('/body', { bodyLimit: 4_000_000 }, async () => 'done');
    });
    const { payers } = listener;
    const client = await listener.connect();
    let asked = 0;
    const cost = async (send: () => void) => {
      const before = payers.workedMs;
      send();
      asked += 1;
      const answers = await client.answers(asked);
      assert.equal(answers.at(-1), '200');
      return payers.workedMs - before;
    };
    const get = (path: string) => () => client.socket.write(`GET ${path} HTTP/1.1\r\nhost: hub\r\n\r\n`);
    const nothing = await cost(get('/nothing'));
    for (const path of ['/query', '/apart', '/write', '/answer'])
      assert.ok((await cost(get(path))) > nothing + 1, path);
    const body = `["${'x'.repeat(3_900_000)}"]`;
    const post = () => {
      client.head('/body', body.length);
      client.socket.write(body);
    };
    assert.ok((await cost(post)) > nothing + 1, 'body');
  } finally {
    await rm(folder, { recursive: true });
  }
});
