import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApprovedRequests } from '../../people/approved-requests.ts';
import { disablePerson } from '../../people/people.ts';
import { giveToken, tokensMadeMs as nowMs } from '../../people/testing-people.ts';
import { hubSettingsSchema } from '../../settings.ts';
import { openTestStore, type TestStore } from '../../store/testing-store.ts';
import { TwoPeople } from './two-people.ts';

function isOn({ database }: TestStore, twoPeople: 'auto' | 'on' | 'off' = 'auto'): Promise<boolean> {
  const settings = { ...hubSettingsSchema.parse({}).access, twoPeople };
  const current = () => assert.fail('no policy is asked');
  return new TwoPeople(database, { current }, settings, () => nowMs, new ApprovedRequests()).isOn();
}

test('root operations take two people from the moment that two have held admin', async () => {
  await using store = await openTestStore();
  await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  await giveToken(store.database, { person: 'ada', name: 'phone', scopes: ['admin'] });
  await giveToken(store.database, { person: 'eve', roles: ['operator'] });
  await giveToken(store.database, { name: 'ci', roles: ['administrator'] });
  assert.equal(await isOn(store), false);
  await giveToken(store.database, { person: 'bob', roles: ['administrator'] });
  assert.equal(await isOn(store), true);
});

test('disabling the second person does not make one person enough', async () => {
  await using store = await openTestStore();
  for (const person of ['ada', 'bob']) await giveToken(store.database, { person, roles: ['administrator'] });
  await disablePerson(store.database, { name: 'bob', reason: 'alone is quicker', actor: 'person:ada/desk', nowMs });
  assert.equal(await isOn(store), true);
});

test('the name on a bootstrap that was claimed is no second person', async () => {
  await using store = await openTestStore();
  const bootstrap = await giveToken(store.database, { person: 'operator', roles: ['administrator'], bootstrap: true });
  const ada = await giveToken(store.database, { person: 'ada', roles: ['administrator'] });
  await store.database.write((trx) =>
    trx
      .updateTable('api_token')
      .set({ claimed_as: ada.tokenSha256 })
      .where('sha256', '=', bootstrap.tokenSha256)
      .execute(),
  );
  assert.equal(await isOn(store), false);
});

test('the setting decides where it is not auto', async () => {
  await using store = await openTestStore();
  assert.equal(await isOn(store, 'on'), true);
  for (const person of ['ada', 'bob']) await giveToken(store.database, { person, roles: ['administrator'] });
  assert.equal(await isOn(store, 'off'), false);
});
