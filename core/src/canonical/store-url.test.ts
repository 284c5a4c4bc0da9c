import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseStoreUrl } from './store-url.ts';

const where = { kind: 'postgres', host: 'db.example', port: 5432, database: 'edgekeep', user: 'hub' };

test('a database of PostgreSQL is named by the connection URI of libpq', () => {
  assert.deepEqual(parseStoreUrl('sqlite'), { kind: 'sqlite' });
  for (const text of [
    'postgres://hub@db.example/edgekeep',
    'postgresql://hub@db.example:5432/edgekeep',
    'POSTGRES://hub@DB.example:/edgekeep',
    'postgres://hub@db.example/edgekeep?sslmode=verify-full',
    'postgres://db.example/?user=hub&dbname=edgekeep',
    'postgres://hub@/edgekeep?host=db.example&port=5432',
    'postgres://h%75b@db.example/%65dgekeep',
  ])
    assert.deepEqual(parseStoreUrl(text), where, text);
  assert.deepEqual(parseStoreUrl('postgres://hub@[2001:DB8::5]:6432/edgekeep'), {
    ...where,
    host: '2001:db8::5',
    port: 6432,
  });
  assert.deepEqual(parseStoreUrl('postgres://plant%2Fhub%40north@10.0.4.2/a%20b'), {
    ...where,
    host: '10.0.4.2',
    user: 'plant/hub@north',
    database: 'a b',
  });
});

test('the folder of a Unix socket is named in the two ways of libpq', () => {
  const socket = { ...where, host: '/var/run/postgresql' };
  for (const text of [
    'postgres://hub@%2Fvar%2Frun%2Fpostgresql/edgekeep',
    'postgres://hub@/edgekeep?host=/var/run/postgresql',
    'postgres:///edgekeep?host=%2Fvar%2Frun%2Fpostgresql%2F&user=hub',
  ])
    assert.deepEqual(parseStoreUrl(text), socket, text);
  assert.deepEqual(parseStoreUrl('postgres://hub@%2Ftmp:5433/edgekeep'), { ...where, host: '/tmp', port: 5433 });
});

test('a URL with a password is refused with what to do, and the password is in no message', () => {
  for (const text of [
    'postgres://hub:hunter2@db.example/edgekeep',
    'postgres://hub:@db.example/edgekeep',
    'postgres://hub:hunter2/@db.example/edgekeep',
    'postgres://hub:hunter2?x#@db.example/edgekeep',
    'postgres://hub@db.example/edgekeep?password=hunter2',
    'postgres://hub@db.example/edgekeep?sslmode=verify-full&sslpassword=hunter2',
    'host=db.example user=hub password=hunter2',
    'mysql://hub:hunter2@db.example/edgekeep',
  ]) {
    const parsed = parseStoreUrl(text);
    assert.equal(parsed.kind, 'refused', text);
    const { why } = Object.assign({ why: '' }, parsed);
    assert.match(why, /password.*store\.passwordFile.*EDGEKEEP_STORE_PASSWORD/);
    assert.doesNotMatch(why, /hunter2/);
  }
});

test('what names no server, no database or no user is refused in words', () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['', /expected sqlite, or postgres:\/\/USER@HOST:5432\/DATABASE/],
    ['SQLite', /expected sqlite/],
    ['/var/lib/hub.sqlite', /expected sqlite/],
    ['postgres://db.example/edgekeep', /names no user/],
    ['postgres://hub@db.example', /names no database/],
    ['postgres://hub@/edgekeep', /names no host.*socket/],
    ['postgres://hub@db1,db2/edgekeep', /list of hosts/],
    ['postgres://hub@db.example:99999/edgekeep', /port/],
    ['postgres://hub@db.example/edgekeep?port=x', /port/],
    ['postgres://hub@2001:db8::5/edgekeep', /brackets/],
    ['postgres://hub@db.example/edgekeep?sslmode=require', /leave sslmode out/],
    ['postgres://hub@db.example/edgekeep?sslrootcert=ca.pem', /store\.caFile/],
    ['postgres://hub@db.example/edgekeep?options=-csearch_path%3Devil', /leave out/],
    ['postgres://hub@db.example/%zz', /percent sign/],
    [`postgres://hub@db.example/${'a'.repeat(64)}`, /63 bytes/],
    ['postgres://hub@db.example/a%00b', /control characters/],
    [`postgres://hub@/edgekeep?host=/${'a'.repeat(100)}`, /90 bytes/],
  ];
  for (const [text, expected] of cases) {
    const parsed = parseStoreUrl(text);
    assert.equal(parsed.kind, 'refused', text);
    assert.match(Object.assign({ why: '' }, parsed).why, expected, text);
  }
});
