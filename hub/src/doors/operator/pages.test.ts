import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { z } from 'zod';
import { appendEntry } from '../../audit/append.ts';
import { addDevices, deviceRow } from '../../registry/testing-device.ts';
import { encoded, type Page } from '../../store/page.ts';
import type { Database } from '../../store/database.ts';
import { openTestStore } from '../../store/testing-store.ts';
import { alertPage } from './alert-page.ts';
import { auditPage, leasePage } from './audit-page.ts';
import { certificatePage } from './certificate-page.ts';
import { devicePage } from './device-page.ts';
import { peoplePage, tokenPage } from './people-page.ts';
import { sitePage } from './site-page.ts';

// SECURITY.md: HUB-44
test('each list is the same from the reading thread as from the event loop, and a filter that is wrong is refused alike', async () => {
  await using store = await openTestStore(new URL('./pages-thread.ts', import.meta.url));
  const { database } = store;
  const ids = ['a', 'b', 'c'];
  await addDevices(
    database,
    ...ids.map((id) => deviceRow(id, { appraisal: '{"status":"affirming","reasons":[]}', appraised_at: 5 })),
  );
  await database.write(async (trx) => {
    for (const id of ids) {
      const event = { at: 1, kind: 'api-token-used', actor: 'a test', subject: `device:${id}`, data: { text: 'Süd' } };
      const logIndex = await appendEntry(trx, event);
      await trx.insertInto('device_tag').values({ device_id: id, key: 'hall', value: 'Süd 1' }).execute();
      const common = { device_id: id, not_after: 2, revoked_at: null };
      const lease = { id: `lease-${id}`, model: 'm', version: '1', document: '{}', attestation_result: '' };
      await trx
        .insertInto('lease')
        .values({ ...common, ...lease, log_index: logIndex })
        .execute();
      const certificate = { serial: `0${id}`, sha256: id.repeat(64), der: new Uint8Array(1), not_before: 1 };
      await trx
        .insertInto('certificate')
        .values({ ...common, ...certificate, revocation_reason: null })
        .execute();
    }
  });
  await addPeopleSitesAndAlerts(database);
  const same = async <Query, Answer extends z.ZodType>(page: Page<Query, Answer>, query: Query, rows: number) => {
    const here = Buffer.from(await encoded(page).make(database.read, query)).toString();
    const apart = Buffer.from(await database.pageApart(page.name, query)).toString();
    assert.equal(apart, here);
    assert.equal(here.match(/Süd|lease-|"sha256"/g)?.length, rows, here);
  };
  const devices = { sort: 'id', after: '', limit: 1_000, nowMs: 3 };
  await same(devicePage, devices, 3);
  await same(devicePage, { ...devices, filter: 'tags.hall=="Süd 1";id!=b', sort: '-id' }, 2);
  await same(auditPage, { from: 1, limit: 1_000, size: 3 }, 2);
  await same(leasePage, { from: 0, limit: 2 }, 2);
  await same(certificatePage, { state: 'valid', after: '', limit: 1_000, nowMs: 1 }, 3);
  await same(certificatePage, { device: 'a', state: 'ended', after: '', limit: 1_000, nowMs: 3 }, 1);
  await same(peoplePage, { nowMs: 3, twoPeople: true }, 2);
  await same(tokenPage, { state: 'any', after: '', limit: 1_000, nowMs: 3 }, 2);
  await same(tokenPage, { state: 'valid', person: 'a', after: '', limit: 1_000, nowMs: 3 }, 1);
  await same(sitePage, {}, 2);
  await same(alertPage, { state: 'standing', limit: 1_000 }, 1);
  await same(alertPage, { state: 'any', before: 3, limit: 1 }, 1);
  const wrong = { ...devices, filter: 'colour==red' };
  for (const refused of [devicePage.make(database.read, wrong), database.pageApart('devices', wrong)])
    await assert.rejects(refused, { code: 'request-invalid', message: /no field colour/ });
});

async function addPeopleSitesAndAlerts(database: Database): Promise<void> {
  await database.write(async (trx) => {
    for (const [at, name] of ['a', 'b'].entries()) {
      const ended = { disabled_at: 2, disabled_reason: 'Süd' };
      await trx
        .insertInto('person')
        .values({ name, added_at: 1, ...ended })
        .execute();
      const grants = { person: name, scopes: 'devices:read', roles: '', created_by: name, bootstrap: 0 };
      await trx
        .insertInto('api_token')
        .values({ sha256: name.repeat(64), name: 'Süd', created_at: 1, expires_at: 4, ...grants })
        .execute();
      const place = { time_zone: 'UTC', networks: '', country: null, zone: null, latitude: null, longitude: null };
      await trx
        .insertInto('site')
        .values({ name, description: 'Süd', ...place, radius_metres: null, created_at: 1 })
        .execute();
      const kind = { kind: 'witness-quorum', severity: 'low', state: at === 0 ? 'open' : 'closed' } as const;
      const seen = { first_seen: 1, last_seen: 1, count: 1, state_by: null, state_at: null, note: null };
      await trx
        .insertInto('alert')
        .values({ id: at + 1, ...kind, subject: name, device_id: null, cause: name, title: 'Süd', data: '{}', ...seen })
        .execute();
    }
  });
}
