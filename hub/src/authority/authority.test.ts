// The scheduled work of the authorities, with a clock that runs for years and no listener: the server certificate, alarms, keys of a sealed
// store.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import type { SecureContextOptions } from 'node:tls';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseCertificate, serialText } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import type { IssuedClass } from '@edgekeep/core/identity/issuing-scope';
import { createHubKeys, issuingKeyName, loadHubKeys } from '../secrets/hub-keys.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { openSealed } from '../secrets/open-keys.ts';
import { plainKeys } from '../secrets/plain-keys.ts';
import { listAlerts } from '../alert/alert-list.ts';
import { hubSettingsSchema } from '../settings.ts';
import { Database } from '../store/database.ts';
import { storePlace } from '../store/testing-place.ts';
import { HubKeyRing } from './hub-key-ring.ts';
import { Authorities } from './authorities.ts';
import { abandonIssuing, requestIssuing } from './issuing-orders.ts';
import { AuthorityKeeper } from '../jobs/authority-keeper.ts';
import { LiveCredential } from './server-credential.ts';
import { issuerIdOf } from './state.ts';

const dayMs = 86_400_000;
const bornMs = Date.UTC(2027, 0, 1);

/** A hub without listeners. */
async function made(t: TestContext, unlock?: Uint8Array) {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-authority-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const unlockers = unlock === undefined ? [] : [{ kind: 'program', secret: Uint8Array.from(unlock) } as const];
  await createHubKeys(folder, {
    rootFolder: join(folder, 'root'),
    unlockers,
    trustDomain: 'edgekeep.local',
    nowSeconds: bornMs / 1_000,
  });
  const time = { ms: bornMs };
  const clock = () => time.ms;
  const database = await Database.open(await storePlace(folder));
  const keys = join(folder, 'keys');
  const keyStore: KeyStore =
    unlock === undefined
      ? plainKeys(keys)
      : await openSealed(keys, { kind: 'program', secret: Uint8Array.from(unlock) });
  const settings = hubSettingsSchema.parse({});
  const authorities = await Authorities.open(folder, { database, keyStore, clock });
  const credential = await LiveCredential.open({ database, authorities, settings, clock });
  const warned: string[] = [];
  const ownCertificates = async () => [
    ...authorities.ownCertificates,
    { name: 'server', certificate: credential.current.certificate },
  ];
  const own = await loadHubKeys(folder, keyStore);
  const { logOrigin } = settings;
  const keyRing = await HubKeyRing.open(folder, { database, keyStore, keys: own, logOrigin, clock });
  const handLogOver = () => Promise.reject(new TypeError('no log'));
  const parts = { database, authorities, keyStore, keyRing, handLogOver, clock, settings };
  const vendorRoots = { watched: () => [] };
  const keeper = new AuthorityKeeper({
    ...parts,
    vendorRoots,
    credential,
    ownCertificates,
    warn: (text) => warned.push(text),
  });
  t.after(async () => {
    await database[Symbol.asyncDispose]();
    await keyStore[Symbol.asyncDispose]();
  });
  return { ...parts, folder, keeper, credential, warned, time };
}

// SECURITY.md: HUB-25
test('a hub that runs for years always has a server certificate, and listeners take each while they run', async (t) => {
  const { keeper, credential, authorities, time } = await made(t);
  const contexts: SecureContextOptions[] = [];
  credential.serve({ setSecureContext: (options) => contexts.push(options) });
  for (let day = 0; day < 900; day += 30) {
    time.ms = bornMs + day * dayMs;
    await keeper.sweep();
    const { notBeforeSeconds, notAfterSeconds } = credential.current.certificate;
    assert.ok(notBeforeSeconds <= time.ms / 1_000 && notAfterSeconds * 1_000 > time.ms + 60 * dayMs);
  }
  assert.equal(contexts.length, 3);
  const shown = parsePem(String(contexts.at(-1)?.cert), 'CERTIFICATE').map(parseCertificate);
  assert.deepEqual(
    shown.map(serialText),
    [credential.current.certificate, authorities.activeFor('server').certificate].map(serialText),
  );
});

test('nothing that is issued outlives the issuing CA, and a hub still starts when that has ended', async (t) => {
  const { authorities, credential, keeper, time, database, settings, clock } = await made(t);
  const end = authorities.activeFor('server').certificate.notAfterSeconds;
  time.ms = end * 1_000 - 10 * dayMs;
  await keeper.sweep();
  assert.equal(credential.current.certificate.notAfterSeconds, end);
  time.ms = end * 1_000 + dayMs;
  const late = await LiveCredential.open({ database, authorities, settings, clock });
  assert.ok(late.current.certificate.notAfterSeconds > end);
});

// SECURITY.md: HUB-25
test('an alarm is raised once for each threshold, graver as the end comes nearer, and over when the certificate is replaced', async (t) => {
  const { authorities, keeper, time, database, warned } = await made(t);
  const endMs = authorities.activeFor('device').certificate.notAfterSeconds * 1_000;
  const query = { state: 'any', kind: 'certificate-expiring', limit: 100 } as const;
  const standing = async () =>
    (await listAlerts(database.read, query)).alerts
      .filter(({ title }) => title.startsWith('issuing CA for devices'))
      .map(({ severity, count, state }) => `${severity} ${count} ${state}`);
  const at = async (daysBefore: number) => {
    time.ms = endMs - daysBefore * dayMs;
    await keeper.sweep();
    await keeper.sweep();
    return standing();
  };
  assert.deepEqual(await at(181), []);
  assert.deepEqual(await at(179), ['low 1 open']);
  assert.deepEqual(await at(100), ['low 1 open']);
  assert.deepEqual(await at(89), ['low 2 open']);
  // Off for two months: only the nearest threshold raises an alarm.
  assert.deepEqual(await at(13), ['high 3 open']);
  assert.deepEqual(await at(0.5), ['critical 4 open']);
  assert.equal(warned.filter((line) => line.startsWith('issuing CA for devices')).length, 4);
  assert.equal(warned.filter((line) => line.startsWith('root')).length, 0);
});

test('an alarm about a certificate that renews itself means that it did not', async (t) => {
  const { keeper, credential, time, warned, folder: _, ...parts } = await made(t);
  time.ms = bornMs + 260 * dayMs;
  await keeper.sweep();
  assert.equal(warned.length, 0);
  const { certificate } = credential.current;
  const stuck = new AuthorityKeeper({
    ...parts,
    vendorRoots: { watched: () => [] },
    credential,
    ownCertificates: async () => [{ name: 'server', certificate }],
    warn: (text) => warned.push(text),
  });
  time.ms = certificate.notAfterSeconds * 1_000 - 20 * dayMs;
  await stuck.sweep();
  assert.match(warned.join('\n'), /^server: ends .* within 30 days$/m);
});

test('keys of issuing CAs live in the sealed store, come back after a restart, and go when they are given up', async (t) => {
  const unlock = randomBytes(32);
  const { keyStore, keeper, authorities, folder, ...parts } = await made(t, unlock);
  const order = { ...parts, keyStore, authorities };
  const [{ id } = { id: '' }] = await requestIssuing(order, { classes: ['device'], actor: 'ada' });
  assert.ok((await keyStore.names()).includes(issuingKeyName(id)));
  await using again = await openSealed(join(folder, 'keys'), { kind: 'program', secret: Uint8Array.from(unlock) });
  assert.ok((await again.names()).includes(issuingKeyName(id)));
  await abandonIssuing(order, { id, note: 'a test', actor: 'ada' });
  await keeper.sweep();
  assert.ok(!(await keyStore.names()).includes(issuingKeyName(id)));
  const inUse = issuingKeyName(authorities.activeFor('device').id);
  assert.ok((await keyStore.names()).includes(inUse), 'the one in use is gone');
});

test('no more than a few requests wait at a time', async (t) => {
  const parts = await made(t);
  const ask = (classes: readonly IssuedClass[]) => requestIssuing(parts, { classes, actor: 'ada' });
  for (let at = 0; at < 4; at += 1) await ask(['device', 'server']);
  await assert.rejects(ask(['device']), { code: 'conflict' });
  await assert.rejects(ask(['workload', 'server']), { code: 'conflict' });
  await ask(['workload']);
});

test('a store whose issuing CA has lost its key says so and does not start', async (t) => {
  const { folder, database, clock, credential, authorities } = await made(t);
  assert.equal(issuerIdOf(credential.current.certificate), authorities.activeFor('server').id);
  const empty = plainKeys(await mkdtemp(join(folder, 'empty-')));
  await assert.rejects(Authorities.open(folder, { database, keyStore: empty, clock }), { code: 'settings-invalid' });
});
