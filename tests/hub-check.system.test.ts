// `edgekeep hub check`: problems that would keep a hub from starting are found from its folder alone, by name.
import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test, type TestContext } from 'node:test';
import { encodePem } from '@edgekeep/core/identity/pem';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { checkHub } from '@edgekeep/hub/commands/check/check';
import { initHub } from '@edgekeep/hub/commands/init';
import { parseHubSettings } from '@edgekeep/hub/settings';
import { HubWorld } from './support/hub-world.ts';

const anyPort = { device: { port: 0 }, operator: { port: 0 } };

async function madeHub(t: TestContext, settings: object = {}): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-check-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const data = join(folder, 'hub');
  const parsed = parseHubSettings({ ...anyPort, ...settings }, 'test');
  await initHub(data, { rootFolder: join(folder, 'root'), settings: parsed, nowMs: Date.now() });
  return data;
}

async function failedOf(data: string, nowMs = Date.now()): Promise<readonly string[]> {
  const findings = await checkHub(data, nowMs);
  for (const { subject, state, next } of findings) assert.equal(next === undefined, state === 'ok', subject);
  return findings.filter(({ state }) => state === 'failed').map(({ subject, found }) => `${subject}: ${found}`);
}

test('a hub that was just made has nothing that failed, and plain keys and missing roots are said', async (t) => {
  const data = await madeHub(t);
  assert.deepEqual(await failedOf(data), []);
  const warnings = (await checkHub(data, Date.now())).filter(({ state }) => state === 'warning');
  assert.ok(warnings.some(({ found }) => /keys as plain files/.test(found)));
  assert.ok(warnings.some(({ found }) => /no root of a TPM maker/.test(found)));
});

test('each thing that keeps a hub from starting is named', async (t) => {
  const broken: readonly (readonly [string, (data: string) => Promise<unknown>, RegExp])[] = [
    ['settings', (data) => writeFile(join(data, 'hub.json'), '{"leaseSeconds":1}'), /^settings: .*leaseSeconds/s],
    ['no settings', (data) => rm(join(data, 'hub.json')), /^settings: no .*hub\.json/],
    ['a key', (data) => rm(join(data, 'keys', 'root.pem')), /^keys: no .*root\.pem/],
    ['the store', (data) => rm(join(data, 'hub.sqlite')), /^store: no .*hub\.sqlite/],
    ['its content', (data) => writeFile(join(data, 'hub.sqlite'), 'no store'), /^store: .*cannot be read/],
    [
      'the folder of roots',
      (data) => fileInPlaceOf(join(data, 'vendor-roots')),
      /^makers' files: .*vendor-roots cannot/,
    ],
  ];
  for (const [what, breakIt, expected] of broken) {
    const data = await madeHub(t);
    await breakIt(data);
    const failed = await failedOf(data);
    assert.match(failed.join('\n'), expected, what);
  }
});

test('a store that a newer hub wrote is said to be one', async (t) => {
  const data = await madeHub(t);
  {
    using store = new DatabaseSync(join(data, 'hub.sqlite'));
    store.prepare("insert into kysely_migration (name, timestamp) values ('9999-later', 'x')").run();
  }
  assert.match((await failedOf(data)).join(), /store: written by a newer hub \(9999-later\)/);
});

test('an unlock program that is not there, is no program or can be written by others is named', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-check-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const program = join(folder, 'unlock');
  const checked = async () => (await failedOf(await madeHub(t, { unlockProgram: [program] }))).join();
  assert.match(await checked(), /unlock program: no /);
  await writeFile(program, '#!/bin/sh\n', { mode: 0o600 });
  assert.match(await checked(), /unlock program: .*cannot be run/);
  await chmod(program, 0o777);
  assert.match(await checked(), /unlock program: .*can be written by every user/);
  await chmod(program, 0o700);
  assert.equal(await checked(), '');
});

test('a root that has ended fails, and a file that the start would refuse does too', async (t) => {
  const data = await madeHub(t, { vendorRoots: { onUnreadable: 'refuse' } });
  await writeFile(join(data, 'vendor-roots', 'broken.pem'), 'no certificate');
  const century = 100 * 365 * 86_400_000;
  const failed = (await failedOf(data, Date.now() + century)).join('\n');
  assert.match(failed, /makers' files: .*broken\.pem/);
  assert.match(await rootEnd(data, century), /root 1: ended /);
});

// The store of a hub that never ran has no authorities yet: the first start adds them.
async function rootEnd(data: string, laterMs: number): Promise<string> {
  await rm(join(data, 'vendor-roots', 'broken.pem'));
  const before = await stat(join(data, 'hub.sqlite'));
  const { startHub } = await import('@edgekeep/hub/wiring/start');
  const settings = parseHubSettings({ ...anyPort, logLevel: 'silent' }, 'test');
  const hub = await startHub(data, settings);
  await hub[Symbol.asyncDispose]();
  assert.ok(before.size > 0);
  return (await failedOf(data, Date.now() + laterMs)).join('\n');
}

test('while the hub runs it can be checked, and its makers are counted', async () => {
  const now = Math.floor(Date.now() / 1_000);
  const { certificate } = await testRoot({ notBeforeSeconds: now - 60, notAfterSeconds: now + 86_400 });
  await using world = await HubWorld.open({ vendorRoots: [encodePem('CERTIFICATE', certificate.der)] });
  const before = await readFile(join(world.hubFolder, 'hub.json'), 'utf8').catch(() => '');
  const findings = await checkHub(world.hubFolder, Date.now());
  assert.deepEqual(
    findings.filter(({ state }) => state === 'failed'),
    [],
  );
  assert.ok(findings.some(({ found }) => /TPM 1 root and 0 intermediates, DICE none, IDevID none/.test(found)));
  assert.equal(await readFile(join(world.hubFolder, 'hub.json'), 'utf8').catch(() => ''), before);
});

async function fileInPlaceOf(folder: string): Promise<void> {
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
}

test('what an older hub gives away is a warning: keys to every attested TPM, boots that say nothing of the agent', async () => {
  const about = async (data: string) =>
    (await checkHub(data, Date.now()))
      .filter(({ subject }) => subject === 'policy' || subject === 'boot')
      .map(({ subject, state }) => `${subject} ${state}`);
  await using old = await HubWorld.open();
  assert.deepEqual(await about(old.hubFolder), ['policy warning', 'boot warning']);
  const settings = { attestation: { coveredPcrs: [14] } };
  await using today = await HubWorld.open({ settings, policyText: defaultPolicyText });
  assert.deepEqual(await about(today.hubFolder), ['policy ok', 'boot ok']);
});
