// Requests that are sent again with their Idempotency-Key (spec/idempotency-key.md): on a real hub, by a client that never saw the answer.
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { httpsUrl } from '@edgekeep/core/canonical/endpoint';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { approvalList } from '@edgekeep/wire/api/approval';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { personList, tokenList } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { accepted, type Answer, assertRefused } from './support/answer.ts';
import { changeStore } from './support/edited-store.ts';
import { HubWorld, newPublisher, publicPem } from './support/hub-world.ts';
import { addPerson, firstPerson, type TestPerson } from './support/people.ts';
import { findSecrets } from './support/secret-search.ts';

let world: HubWorld;
let ada: TestPerson;
before(async () => {
  world = await HubWorld.open();
  ada = await firstPerson(world);
});
after(() => world?.[Symbol.asyncDispose]());

const send = (path: string, body: object, key: string, token = ada.token) =>
  world.askOperator('POST', path, { token, body: JSON.stringify(body), headers: { 'idempotency-key': key } });
const done = (answer: Answer) => accepted(answer, z.looseObject({}));
const people = async () => accepted(await ada.ask('GET', '/v1/people'), personList).people.map(({ name }) => name);
const tokensMade = async () => (await world.entries('enrolment-token-created')).length;

// SECURITY.md: HUB-110
test('a request that is sent again is answered as before and carried out once, with or without quotation marks', async () => {
  const key = randomUUID();
  const earlier = await tokensMade();
  const first = await send('/v1/enrollment-tokens', { tier: 'tpm' }, `"${key}"`);
  const { token } = accepted(first, enrollmentTokenResponse);
  assert.equal(first.headers['idempotency-replayed'], undefined);
  const again = await send('/v1/enrollment-tokens', { tier: 'tpm' }, key);
  assert.equal(accepted(again, enrollmentTokenResponse).token, token);
  assert.equal(again.headers['idempotency-replayed'], 'true');
  assert.equal(again.headers['content-type'], first.headers['content-type']);
  assert.equal(await tokensMade(), earlier + 1);
});

// SECURITY.md: HUB-110
test('a key with another body, method or address is refused, and nothing is done', async () => {
  const key = randomUUID();
  done(await send('/v1/people', { name: 'cleo' }, key));
  assertRefused(await send('/v1/people', { name: 'dora' }, key), { status: 422, code: 'request-key-reused' });
  assertRefused(await send('/v1/people/cleo/disable', { name: 'cleo' }, key), {
    status: 422,
    code: 'request-key-reused',
  });
  assert.deepEqual(
    (await people()).filter((name) => name === 'dora'),
    [],
  );
});

test('of many requests with one key at the same moment one is carried out; the others learn its answer', async () => {
  const key = randomUUID();
  const earlier = await tokensMade();
  const answers = await Promise.all(
    Array.from({ length: 12 }, () => send('/v1/enrollment-tokens', { tier: 'tpm', lifeSeconds: 600 }, key)),
  );
  assert.equal(await tokensMade(), earlier + 1);
  const statuses = answers.map(({ status }) => status);
  assert.ok(statuses.includes(200));
  assert.deepEqual(
    statuses.filter((status) => status !== 200 && status !== 409),
    [],
  );
  for (const each of answers.filter(({ status }) => status === 409))
    assertRefused(each, { status: 409, code: 'request-under-way' });
  const last = await send('/v1/enrollment-tokens', { tier: 'tpm', lifeSeconds: 600 }, key);
  assert.equal(last.headers['idempotency-replayed'], 'true');
});

test('a request that was refused before it changed anything may be sent again with its key', async () => {
  const key = randomUUID();
  assertRefused(await send('/v1/people/emma/disable', { reason: 'left' }, key), { status: 404, code: 'not-found' });
  done(await send('/v1/people', { name: 'emma' }, randomUUID()));
  done(await send('/v1/people/emma/disable', { reason: 'left' }, key));
});

// SECURITY.md: HUB-110
test('a request whose answer was never kept, because the hub ended after the change, is not carried out again', async () => {
  const key = randomUUID();
  done(await send('/v1/people', { name: 'fay' }, key));
  await changeStore(world.place, 'update request_key set answer = null');
  assertRefused(await send('/v1/people', { name: 'fay' }, key), { status: 409, code: 'request-under-way' });
  world.clock.advanceSeconds(61);
  assertRefused(await send('/v1/people', { name: 'fay' }, key), { status: 409, code: 'request-repeated' });
});

// SECURITY.md: HUB-110
test('a kept answer is for its caller alone, while they may ask, and neither the store nor its backup opens it', async () => {
  const key = randomUUID();
  const gus = await addPerson(world, 'gus', { role: 'operator' });
  const order = { name: 'line', scopes: ['devices:read'] };
  const first = await send('/v1/tokens', order, key, gus.token);
  const { token } = JSON.parse(Buffer.from(first.body).toString());
  assert.equal(first.status, 200);
  const others = await send('/v1/tokens', order, key);
  assert.notEqual(JSON.parse(Buffer.from(others.body).toString()).token, token);
  const secrets = new Map([['the token in a kept answer', Buffer.from(String(token).slice(3), 'base64url')]]);
  await world.stop();
  assert.deepEqual(await findSecrets(world.hubFolder, secrets), []);
  await world.start();
  const { tokens } = accepted(await gus.ask('GET', '/v1/tokens'), tokenList);
  const own = tokens.find(({ name }) => name === 'desk')?.id ?? '';
  done(await ada.ask('POST', `/v1/tokens/${own}/revoke`, {}));
  assertRefused(await send('/v1/tokens', order, key, gus.token), { status: 401, code: 'token-refused' });
});

test('a malformed key, and a key where bytes are streamed, is refused by name', async () => {
  for (const key of ['', 'short', 'x'.repeat(129), `"${randomUUID()}`, `${randomUUID()} x`, `${randomUUID()},x`])
    assertRefused(await send('/v1/people', { name: 'hal' }, key), { status: 400, code: 'request-invalid' });
  const headers = { 'idempotency-key': randomUUID() };
  const upload = { token: ada.token, body: 'x', contentType: 'application/x-ndjson', headers };
  assertRefused(await world.askOperator('POST', '/v1/devices/import', upload), {
    status: 400,
    code: 'request-invalid',
  });
  assert.equal((await world.askOperator('GET', '/v1/people', { token: ada.token, headers })).status, 200);
});

test('the command line sends a request again when its connection ends before the answer, and it is done once', async () => {
  await using relay = await relayThatLosesOneAnswer(world.hub.operatorAddress.port);
  const access: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  const file = join(world.folder, 'relayed.json');
  await writeFile(file, JSON.stringify({ ...access, url: httpsUrl({ host: '127.0.0.1', port: relay.port }) }), {
    mode: 0o600,
  });
  const operator = await operatorFromFile(file, () => Promise.resolve());
  await operator.get('/v1/people', personList);
  relay.loseNext();
  const earlier = await tokensMade();
  const { token } = await operator.send('POST', '/v1/enrollment-tokens', { tier: 'tpm' }, enrollmentTokenResponse);
  assert.equal(relay.lost(), 1);
  assert.match(token, /^ee_/);
  assert.equal(await tokensMade(), earlier + 1);
});

// From here on two people are needed.
test('a request that waits for a second person is kept once', async () => {
  await addPerson(world, 'ivo');
  const key = randomUUID();
  const order = { name: 'another', publicKey: publicPem(newPublisher()) };
  const first = await send('/v1/publishers', order, key);
  assert.equal(first.status, 202);
  const again = await send('/v1/publishers', order, key);
  assert.deepEqual(again.body, first.body);
  const { approvals } = accepted(await ada.ask('GET', '/v1/approvals'), approvalList);
  assert.equal(approvals.length, 1);
});

test('a key counts after a restart, and no longer than the setting says', async () => {
  const key = randomUUID();
  const { token } = accepted(await send('/v1/enrollment-tokens', {}, key), enrollmentTokenResponse);
  await world.restart();
  assert.equal(accepted(await send('/v1/enrollment-tokens', {}, key), enrollmentTokenResponse).token, token);
  world.clock.advanceSeconds(24 * 3_600 + 1);
  assert.notEqual(accepted(await send('/v1/enrollment-tokens', {}, key), enrollmentTokenResponse).token, token);
});

/** A TCP relay; once asked, it ends a connection instead of passing on the hub's next answer. */
async function relayThatLosesOneAnswer(to: number) {
  let lost = 0;
  let loses = false;
  const server = createServer((client) => {
    const hub = connect(to, '127.0.0.1');
    let sent = 0;
    client.on('data', (chunk) => {
      sent += 1;
      hub.write(chunk);
    });
    hub.on('data', (chunk) => {
      // After the client's hello the hub goes on with the handshake; after what follows it answers.
      if (!loses || sent < 2) return void client.write(chunk);
      loses = false;
      lost += 1;
      client.destroy();
      return void hub.destroy();
    });
    client.on('error', () => hub.destroy()).on('close', () => hub.destroy());
    hub.on('error', () => client.destroy()).on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return {
    port: typeof address === 'object' ? (address?.port ?? 0) : 0,
    lost: () => lost,
    loseNext: () => {
      loses = true;
    },
    [Symbol.asyncDispose]: async () => {
      server.close();
      await once(server, 'close');
    },
  };
}
