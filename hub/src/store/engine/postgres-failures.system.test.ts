// What keeps a hub from its database, each on a real server: one line that says what to do, and no password in it.
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { messageOf } from '@edgekeep/core/message-of';
import { Database } from '../database.ts';
import { latestTimeIn, storeLatest } from '../hub-time.ts';
import { placeOfStore } from '../place-of-store.ts';
import { clusterUser } from '../testing-cluster.ts';
import { certify, type NetworkServer, onServer, startNetworkServer, useCertificate } from '../testing-server.ts';

let server: NetworkServer;
let folder: string;

before(async () => {
  if (onServer.skip !== false) return;
  folder = mkdtempSync(join(tmpdir(), 'edgekeep-store-'));
  server = await startNetworkServer();
  writeFileSync(join(folder, 'password'), `${server.password}\n`, { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), server.certificate, { mode: 0o600 });
});
after(() => {
  server?.[Symbol.dispose]();
  if (folder !== undefined) rmSync(folder, { recursive: true });
});

interface Changes {
  readonly url?: string;
  readonly passwordFile?: string | null;
  readonly caFile?: string | null;
}

async function open(changes: Changes = {}): Promise<void> {
  const store = { url: server.url, passwordFile: 'password', caFile: 'ca.pem', ...changes };
  const place = placeOfStore(folder, { store });
  await using _ = await Database.openAlone(place, { authority: 'optional' }, async () => async () => undefined);
}

/** What the hub says. */
async function said(changes: Changes, code = 'store-unavailable'): Promise<string> {
  const refused: unknown = await open(changes).then(
    () => assert.fail('the store was opened'),
    (error: unknown) => error,
  );
  assert.equal(Object(refused).code, code, messageOf(refused));
  const message = messageOf(refused);
  assert.doesNotMatch(JSON.stringify(refused) + message, /correct horse|wrong horse/);
  assert.doesNotMatch(message, /\n/);
  return message;
}

test(
  'the role of the page has rights enough, and a password that is changed counts at the next connection',
  onServer,
  async () => {
    await open();
    await server.admin(["alter role hub password 'wrong horse'"]);
    assert.match(
      await said({}),
      /refuses the password: correct the one in store\.passwordFile or EDGEKEEP_STORE_PASSWORD$/,
    );
    await server.admin([`alter role hub password '${server.password}'`]);
    await open();
  },
);

test('the password may be in the environment, and is asked for where there is none', onServer, async () => {
  assert.match(await said({ passwordFile: null }), /asks for a password: name a file with it by store\.passwordFile/);
  process.env['EDGEKEEP_STORE_PASSWORD'] = server.password;
  try {
    await open({ passwordFile: null });
  } finally {
    delete process.env['EDGEKEEP_STORE_PASSWORD'];
  }
});

// SECURITY.md: HUB-112
test(
  'a file with the password that others may read is refused, as one that is missing or empty',
  onServer,
  async () => {
    const file = join(folder, 'open');
    writeFileSync(file, 'wrong horse\n');
    chmodSync(file, 0o644);
    assert.match(
      await said({ passwordFile: file }, 'settings-invalid'),
      /other users may read or change it: chmod 600$/,
    );
    chmodSync(file, 0o600);
    writeFileSync(file, '\n');
    assert.match(
      await said({ passwordFile: file }, 'settings-invalid'),
      /its first line is empty: expected the password$/,
    );
    assert.match(await said({ passwordFile: 'gone' }, 'settings-invalid'), /gone: there is no such file$/);
  },
);

// SECURITY.md: HUB-112
test('a server of an unknown CA or of another name is refused before it gets the password', onServer, async () => {
  assert.match(
    await said({ caFile: null }),
    /has a certificate of a CA that the hub does not trust for it: name the file with that CA by store\.caFile, or --store-ca/,
  );
  const other = certify(server, 'other', '192.0.2.7');
  const file = join(folder, 'other.pem');
  writeFileSync(file, other);
  await useCertificate(server, server.port, 'other');
  assert.match(await said({ caFile: file }), /has a certificate for another name/);
  await useCertificate(server, server.port, 'right');
  chmodSync(file, 0o666);
  assert.throws(() => placeOfStore(folder, { store: { url: server.url, passwordFile: null, caFile: file } }), {
    code: 'settings-invalid',
    message: /store\.caFile: .*can be written by every user/,
  });
  writeFileSync(join(folder, 'no-certificate.pem'), 'none', { mode: 0o600 });
  const none = { url: server.url, passwordFile: null, caFile: 'no-certificate.pem' };
  assert.throws(() => placeOfStore(folder, { store: none }), { message: /it has no certificate/ });
});

test('a database, a role, a server or a socket that is not there is said in words', onServer, async () => {
  const at = (path: string, user = 'hub') => server.url.replace('hub@', `${user}@`).replace(/[^/]*$/, path);
  assert.match(
    await said({ url: at('edgekeep', 'somebody') }),
    /does not let this user in: it needs the role and a line in pg_hba\.conf/,
  );
  const socket = (path: string) => `postgres://${clusterUser}@/${path}?host=${server.folder}&port=${server.port}`;
  assert.match(
    await said({ url: socket('nothing') }),
    /the database nothing of PostgreSQL at .* does not exist: make it/,
  );
  assert.match(
    await said({ url: server.url.replace(String(server.port), '1') }),
    /takes no connections: does the server run/,
  );
  assert.match(
    await said({ url: 'postgres://hub@/edgekeep?host=/nowhere' }),
    /has no socket there: does the server run/,
  );
  assert.match(await said({ url: 'postgres://hub@name.invalid/edgekeep' }), /is not found/);
});

test(
  'a user without the rights, and a server that takes no more connections, are said in words',
  onServer,
  async () => {
    await server.admin([
      'drop schema public cascade',
      'drop schema engine cascade',
      'create schema public',
      'grant usage on schema public to hub',
    ]);
    assert.match(await said({}), /does not give this user the rights that a hub needs/);
    await server.admin(['grant create on schema public to hub', 'alter role hub connection limit 0']);
    assert.match(await said({}), /takes no more connections: raise max_connections/);
    await server.admin(['alter role hub connection limit -1']);
    await open();
  },
);

test('a hub that runs goes on when its server is back, and says meanwhile what is wrong', onServer, async () => {
  const place = placeOfStore(folder, { store: { url: server.url, passwordFile: 'password', caFile: 'ca.pem' } });
  await using database = await Database.openAlone(place, { authority: 'optional' }, async () => async () => undefined);
  const keep = (latest: number) => database.write((trx) => storeLatest(trx, latest));
  await keep(1);
  await server.halt();
  const away = { code: 'store-unavailable', status: 503 };
  await assert.rejects(keep(2), away);
  await assert.rejects(latestTimeIn(database.read), away);
  await assert.rejects(keep(3), { message: /^the database of the store takes no connections: / });
  await server.launch();
  await keep(4);
  assert.equal(await latestTimeIn(database.read), 4);
});

// SECURITY.md: HUB-171
test(
  'a second hub is refused with who holds the database, and may have it as soon as the first has ended',
  onServer,
  async () => {
    const place = placeOfStore(folder, { store: { url: server.url, passwordFile: 'password', caFile: 'ca.pem' } });
    const alone = () => Database.openAlone(place, { authority: 'optional' }, async () => async () => undefined);
    {
      await using _ = await alone();
      await assert.rejects(alone(), {
        code: 'store-in-use',
        message:
          /is in use by edgekeep-hub on \S+, process \d+ \([0-9a-f]{8}\) at 127\.0\.0\.1, since \d{4}-.*Z: end that one first/,
      });
    }
    await open();
  },
);

// SECURITY.md: HUB-171
test('a hub that lost its connection, and finds another one in its place, writes nothing more', onServer, async () => {
  const place = placeOfStore(folder, { store: { url: server.url, passwordFile: 'password', caFile: 'ca.pem' } });
  const alone = () => Database.openAlone(place, { authority: 'optional' }, async () => async () => undefined);
  await using first = await alone();
  const ended = Promise.withResolvers<string>();
  first.onEnded = ({ code }) => ended.resolve(code);
  await first.write((trx) => storeLatest(trx, 1));
  await server.admin(["select pg_terminate_backend(pid) from pg_stat_activity where usename = 'hub'"]);
  await using second = await alone();
  await second.write((trx) => storeLatest(trx, 2));
  await assert.rejects(
    first.write((trx) => storeLatest(trx, 3)),
    { code: 'store-in-use' },
  );
  assert.equal(await ended.promise, 'store-in-use');
  await assert.rejects(
    first.write((trx) => storeLatest(trx, 4)),
    { code: 'store-in-use' },
  );
  assert.equal(await latestTimeIn(second.read), 2);
});
