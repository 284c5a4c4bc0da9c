// Two administrators on the command line: the second makes their own token, and from then on neither can trust a publisher alone.
import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { approvalList, approvalView } from '@edgekeep/wire/api/approval';
import { apiTokenResponse, personDisabled, personList, tokenList, tokenView } from '@edgekeep/wire/api/people';
import { expiry } from '@edgekeep/wire/api/revocation';
import { z } from 'zod';
import { edgekeep, edgekeepJson } from './main-job/edgekeep.ts';
import { HubWorld, newPublisher, publicPem } from './support/hub-world.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
  await writeFile(at('another.pub.pem'), publicPem(newPublisher()));
});
after(() => world?.[Symbol.asyncDispose]());

const at = (name: string) => join(world.folder, name);
const ada = () => ['--operator', world.operatorFile];
const ben = () => ['--operator', at('ben.json')];
const prepared = z.object({ out: z.string(), sha256: z.string() });

test('from one administrator to two, and through a root operation', async (t) => {
  await t.test(
    'a token that was prepared is good for nothing until it is registered, and nobody else has it',
    async () => {
      assert.equal((await edgekeep('person', 'add', 'ben', '--address', at('address.json'), ada())).code, 0);
      assert.doesNotMatch(await readFile(at('address.json'), 'utf8'), /token|ek_/);
      const prepare = ['token', 'prepare', '--from', at('address.json'), '--out', at('ben.json')];
      const { sha256 } = await edgekeepJson(prepared, prepare);
      assert.equal((await stat(at('ben.json'))).mode & 0o777, 0o600);
      assert.equal((await edgekeep('device', 'list', ben())).code, 1);
      assert.equal((await edgekeep(prepare)).code, 3, 'a file that is there is not overwritten');
      const register = ['token', 'create', '--name', 'desk', '--role', 'administrator', '--person', 'ben'];
      assert.equal((await edgekeep(register, ada())).code, 2, 'without the hash');
      const made = await edgekeepJson(apiTokenResponse, register, '--sha256', sha256, ada());
      assert.equal(made.token, null);
      assert.equal((await edgekeep('device', 'list', ben())).code, 0);
      assert.equal((await edgekeepJson(personList, 'person', 'list', ada())).twoPeople, true);
    },
  );

  await t.test('what waits says what to do next, and is no success', async () => {
    const asked = await edgekeep('publisher', 'trust', at('another.pub.pem'), '--name', 'another', ada());
    assert.equal(asked.code, 1);
    assert.match(asked.stderr, /approval-required.*second person.*edgekeep approval show [0-9a-f-]{36}/);
    const { approvals } = await edgekeepJson(approvalList, 'approval', 'list', ben());
    assert.equal(approvals.length, 1);
    const [{ id } = { id: '' }] = approvals;
    const shown = await edgekeep('approval', 'show', id, ben());
    assert.match(shown.stdout, /asked by +admin/);
    assert.match(shown.stdout, /BEGIN PUBLIC KEY/);
    const { digest } = await edgekeepJson(approvalView, 'approval', 'show', id, ben());
    assert.match(shown.stdout, new RegExp(`edgekeep approval approve ${id} --digest ${digest}`));
    assert.equal((await edgekeep('approval', 'approve', id, ben())).code, 2, 'unread');
    const own = await edgekeep('approval', 'approve', id, '--digest', digest, ada());
    assert.equal(own.code, 1);
    assert.match(own.stderr, /another person/);
    const done = await edgekeep('approval', 'approve', id, '--digest', digest, ben());
    assert.equal(done.code, 0, done.stderr);
    assert.match(done.stdout, /carried out/);
    assert.equal((await edgekeep('approval', 'approve', id, '--digest', digest, ben())).code, 1);
    const all = await edgekeep('approval', 'list', '--all', ada());
    assert.match(all.stdout, /executed by ben/);
    assert.match((await edgekeep('audit', 'show', ada())).stdout, /publisher-trusted.*by person:admin with person:ben/);
  });

  await t.test('tokens are listed with owner, rights and last use, and end with their person', async () => {
    const { tokens } = await edgekeepJson(tokenList.omit({ next: true }), 'token', 'list', ada());
    const own = tokens.find(({ person }) => person === 'ben');
    assert.deepEqual(own?.roles, ['administrator']);
    assert.ok(own.lastUsedAt !== null && own.lastUsedFrom !== null);
    assert.equal((await edgekeepJson(tokenView, 'token', 'show', own.id, ada())).name, 'desk');
    const make = ['token', 'create', '--name', 'ci', '--scope', 'models:read', '--service', '--days', '1'];
    const service = await edgekeepJson(apiTokenResponse.extend({ token: z.string() }), make, ben());
    assert.match(service.token, /^ek_/);
    const page = await edgekeep('certificate', 'expiry', '--json', ada());
    const ends = expiry.parse(JSON.parse(page.stdout)).tokens;
    assert.deepEqual(
      ends.map(({ name }) => name),
      ['service/ci', 'ben/desk', 'admin/admin'],
    );
    const order = ['person', 'disable', 'ben', '--reason', 'left'];
    // Their own token, and the service's token that it made.
    assert.equal((await edgekeepJson(personDisabled, order, ada())).tokensEnded, 2);
    assert.equal((await edgekeep('device', 'list', ben())).code, 1);
    const again = await edgekeep('person', 'enable', 'ben', ada());
    assert.equal(again.code, 1);
    assert.match(again.stderr, /second person/);
  });
});
