// The hub's own secrets as a whole: what a thief of the machine's disk gets (nothing), and what must be entered before a hub starts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { cp, mkdtemp, readdir, rm, stat, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { test, type TestContext } from 'node:test';
import type { Operator } from '@edgekeep/cli/operator';
import { HubRefusal } from '@edgekeep/cli/refusal';
import { initHub } from '@edgekeep/hub/commands/init';
import { loadHubKeys } from '@edgekeep/hub/secrets/hub-keys';
import { unwrapModelKey } from '@edgekeep/hub/model/key-wrap';
import type { KeyStore } from '@edgekeep/hub/secrets/key-store';
import { openSealed } from '@edgekeep/hub/secrets/open-keys';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { startHub } from '@edgekeep/hub/wiring/start';
import { testSimulators } from '@edgekeep/hardware/tpm/testing';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { secretFromProgram } from '@edgekeep/hub/secrets/program';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { auditList } from '@edgekeep/wire/api/audit';
import { platformKeyRollResponse, platformKeyView } from '@edgekeep/wire/api/platform-key';
import { z } from 'zod';
import { ending } from './support/child.ts';
import { SealedHub, sealedHubSettings } from './support/sealed-hub.ts';
import { skipWithoutTpm } from './support/tpm-world.ts';
import { findSecrets } from './support/secret-search.ts';
import { adoptStore } from './support/edited-store.ts';

const command = join(import.meta.dirname, '../cli/src/main.ts');

async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-secrets-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** The secret scalars and keys behind the entries of a key store. */
async function secretsIn(store: KeyStore): Promise<Map<string, Uint8Array>> {
  const secrets = new Map<string, Uint8Array>();
  for (const name of await store.names()) {
    const bytes = (await store.read(name)) ?? assert.fail();
    const scalar = name.endsWith('.pem')
      ? createPrivateKey(Buffer.from(bytes)).export({ format: 'jwk' }).d
      : Buffer.from(bytes).toString('base64url');
    secrets.set(name, Buffer.from(scalar ?? assert.fail(), 'base64url'));
  }
  return secrets;
}

async function modelKey(hub: SealedHub, data = hub.data): Promise<Uint8Array> {
  await using store = await openSealed(join(data, 'keys'), { kind: 'program', secret: Uint8Array.from(hub.secret) });
  const database = new DatabaseSync(join(data, 'hub.sqlite'), { readOnly: true });
  try {
    const row = database
      .prepare("SELECT name, version, manifest_digest, wrapped_key FROM model_release WHERE version = '1.0.0'")
      .get();
    const text = z.string();
    const release = z
      .object({ name: text, version: text, manifest_digest: text, wrapped_key: z.instanceof(Uint8Array) })
      .parse(row);
    const { platformKey } = await loadHubKeys(data, store);
    return unwrapModelKey(platformKey, release.wrapped_key, release);
  } finally {
    database.close();
  }
}

async function edgekeep(args: readonly string[], input = ''): Promise<{ status: number | null; output: string }> {
  const child = spawn(process.execPath, [command, ...args], { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  await using _ = ending(child);
  child.stdin.end(input);
  const [out, err, status] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    new Promise<number | null>((resolve) => child.once('exit', resolve)),
  ]);
  return { status, output: out + err };
}

// SECURITY.md: HUB-38
test('a thief of disk and database finds no key, and starts no hub', async (t) => {
  await using hub = await SealedHub.make();
  const operator = await hub.start();
  await hub.trustPublisher(operator);
  await hub.publish(operator, '1.0.0');
  const deviceSecret = await hub.addTokenDevice(operator, 'meter-7');
  const stolen = await temporaryFolder(t);
  // Once while it runs, with the write-ahead log, and once at rest.
  await cp(hub.data, join(stolen, 'running'), { recursive: true });
  await hub.stop();
  await cp(hub.data, join(stolen, 'stopped'), { recursive: true });

  const store = await openSealed(hub.keys, { kind: 'program', secret: Uint8Array.from(hub.secret) });
  const secrets = await secretsIn(store);
  await store[Symbol.asyncDispose]();
  const kinds = [...secrets.keys()].map((name) => name.replace(/^(issuing|hub)-[0-9a-f]{32}\.pem$/, '$1'));
  // The key for backups is the hub's key with a number for a name.
  const numbered = ['hub', 'issuing', 'issuing', 'issuing'];
  assert.deepEqual(kinds.toSorted(), ['attestation-key.pem', ...numbered, 'log-key.pem', 'platform.key', 'state.key']);
  secrets.set('model key', await modelKey(hub));
  secrets.set('device secret', Buffer.from(deviceSecret, 'base64url'));
  secrets.set('device secret as text', Buffer.from(deviceSecret));
  secrets.set('unlocking secret', hub.secret);
  assert.deepEqual(await findSecrets(stolen, secrets), []);

  const copy = join(stolen, 'stopped');
  await assert.rejects(startHub(copy, sealedHubSettings), { code: 'keys-locked' });
  await assert.rejects(hub.start(copy, new Uint8Array(32)), { code: 'unlock-refused' });
});

test('the same search finds every key of a plain hub', async (t) => {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'hub');
  await initHub(data, { rootFolder: join(folder, 'root'), settings: sealedHubSettings, nowMs: Date.now() });
  const secrets = await secretsIn(plainKeys(join(data, 'keys')));
  const found = await findSecrets(data, secrets);
  assert.deepEqual(found.toSorted(), [...secrets.keys()].map((name) => `${name}: ${name}`).toSorted());
});

test('a wrong passphrase starts nothing and leaves the folder as it was, with its empty lock file', async (t) => {
  const folder = await temporaryFolder(t);
  const data = join(folder, 'hub');
  const where = ['--data', data, '--root-folder', join(folder, 'root'), '--passphrase-fd', '0'];
  const made = await edgekeep(['hub', 'init', '--unlock', 'passphrase', ...where], 'correct horse battery staple\n');
  assert.equal(made.status, 0, made.output);
  const before = (await readdir(data)).toSorted();
  const refused = await edgekeep(['hub', 'run', '--data', data, '--passphrase-fd', '0'], 'correct horse\n');
  assert.equal(refused.status, 1);
  assert.match(refused.output, /unlock-refused/);
  assert.doesNotMatch(refused.output, /ready|horse/);
  // The lock's file stays: another process may be waiting for it. It is empty.
  assert.deepEqual((await readdir(data)).toSorted(), before);
  assert.equal((await stat(join(data, 'hub.lock'))).size, 0);
  const unasked = await edgekeep(['hub', 'run', '--data', data]);
  assert.equal(unasked.status, 3);
  assert.match(unasked.output, /keys-locked/);
});

test('a hub is not sealed with its root key or its shares beside it', async (t) => {
  const data = join(await temporaryFolder(t), 'hub');
  const rootInside = await edgekeep(
    ['hub', 'init', '--data', data, '--unlock', 'passphrase', '--passphrase-fd', '0'],
    'a long passphrase',
  );
  assert.equal(rootInside.status, 2, rootInside.output);
  const sharesInside = await edgekeep([
    'hub',
    'init',
    '--data',
    data,
    '--unlock',
    'shares:2/3',
    '--share-folder',
    join(data, 'shares'),
  ]);
  assert.equal(sharesInside.status, 2, sharesInside.output);
  assert.match(sharesInside.output, /shares in the same folder as the keys protect nothing/);
});

test('a roll-over wraps every value again, deletes the old key, and reads work throughout', async () => {
  await using hub = await SealedHub.make();
  const operator = await hub.start();
  await hub.trustPublisher(operator);
  await hub.publish(operator, '1.0.0');
  for (let at = 0; at < 205; at += 1) await hub.addTokenDevice(operator, `meter-${at}`);
  const key = await modelKey(hub);
  assert.deepEqual(await operator.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse), {
    version: 2,
    generation: 2,
  });
  const refused = await operator.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse).catch(codeOf);
  assert.equal(refused, 'conflict');
  await hub.publish(operator, '1.0.1');
  await finished(operator);
  await hub.stop();
  const store = await openSealed(hub.keys, { kind: 'program', secret: Uint8Array.from(hub.secret) });
  assert.ok(!(await store.names()).includes('platform.key') && (await store.names()).includes('platform-2.key'));
  await store[Symbol.asyncDispose]();
  assert.deepEqual(await modelKey(hub), key);
  const kinds = (await entriesOf(await hub.start())).filter((kind) => kind.startsWith('platform-key'));
  assert.deepEqual(kinds, ['platform-key-roll-started', 'platform-key-rolled']);
});

test('a roll-over that was killed after its new key was stored is ended by the next start', async () => {
  await using hub = await SealedHub.make();
  const operator = await hub.start();
  await hub.trustPublisher(operator);
  await hub.publish(operator, '1.0.0');
  await hub.stop();
  const key = await modelKey(hub);
  {
    await using store = await openSealed(hub.keys, { kind: 'program', secret: Uint8Array.from(hub.secret) });
    await store.add('platform-2.key', new Uint8Array(32).fill(7));
  }
  await finished(await hub.start());
  await hub.stop();
  assert.deepEqual(await modelKey(hub), key);
  await using store = await openSealed(hub.keys, { kind: 'program', secret: Uint8Array.from(hub.secret) });
  assert.equal(await store.read('platform.key'), undefined);
});

test('a value that does not open keeps the old key, and the status says how many there are', async () => {
  await using hub = await SealedHub.make();
  const operator = await hub.start();
  await hub.addTokenDevice(operator, 'meter-7');
  await hub.stop();
  const database = new DatabaseSync(join(hub.data, 'hub.sqlite'));
  database.exec("UPDATE device_secret SET wrapped_secret = x'00000001' || zeroblob(60)");
  database.exec('UPDATE device_secret SET wrapped_secret = cast(wrapped_secret as blob)');
  database.close();
  const opened = await openSealed(hub.keys, { kind: 'program', secret: Uint8Array.from(hub.secret) });
  await adoptStore({ hubFolder: hub.data, place: join(hub.data, 'hub.sqlite') }, opened);
  const again = await hub.start();
  await again.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse);
  const view = await again.get('/v1/platform-key', platformKeyView);
  assert.deepEqual(view, { version: 2, generation: 2, valuesLeft: 1, finished: false });
  await hub.stop();
  await using store = await openSealed(hub.keys, { kind: 'program', secret: Uint8Array.from(hub.secret) });
  assert.notEqual(await store.read('platform.key'), undefined);
});

test('a backup taken at any moment while the hub serves and rolls its key over is restored', async (t) => {
  await using hub = await SealedHub.make();
  const operator = await hub.start();
  await hub.trustPublisher(operator);
  await hub.publish(operator, '1.0.0');
  for (let at = 0; at < 120; at += 1) await hub.addTokenDevice(operator, `meter-${at}`);
  const folder = await temporaryFolder(t);
  const file = join(folder, 'backup');
  const roll = operator.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse);
  await Promise.all([roll, backUpHub({ folder: hub.data, file, plain: false, blobs: true })]);
  await finished(operator);
  const key = await modelKey(hub);
  await hub.stop();
  const restored = join(folder, 'restored');
  await restoreHub(file, restored, 'unsigned');
  const again = await hub.start(restored);
  await finished(again);
  await hub.stop();
  assert.deepEqual(await modelKey(hub, restored), key);
});

test(
  'the TPM of the machine opens the hub, in the boot state of the sealing only, and no other TPM does',
  { skip: skipWithoutTpm },
  async () => {
    await using simulators = await testSimulators();
    const own = await simulators.start('own');
    const other = await simulators.start('other');
    const file = join(simulators.folder, 'unlock.json');
    const address = (socket: string) => ['--tpm', `unix:${socket}`];
    const sealed = await edgekeep(['secrets', 'tpm-seal', file, ...address(own.socketPath)]);
    assert.equal(sealed.status, 0, sealed.output);
    const program = (socket: string) => [process.execPath, command, 'secrets', 'tpm-unseal', file, ...address(socket)];
    const secret = await secretFromProgram(program(own.socketPath));
    assert.equal(secret.length, 32);
    assert.deepEqual(await findSecrets(simulators.folder, new Map([['unlocking secret', secret]])), []);
    const refused = { code: 'unlock-refused' };
    await assert.rejects(secretFromProgram(program(other.socketPath)), refused);

    const data = join(simulators.folder, 'hub');
    const words = program(own.socketPath).join(' ');
    const made = await edgekeep([
      'hub',
      'init',
      '--data',
      data,
      '--root-folder',
      join(simulators.folder, 'root'),
      '--unlock',
      `program:${words}`,
    ]);
    assert.equal(made.status, 0, made.output);
    await using store = await openSealed(join(data, 'keys'), { kind: 'program', secret });
    assert.equal((await loadHubKeys(data, store)).platformKey.newest, 1);

    {
      await using tpm = await TpmRootOfTrust.open({ kind: 'unix', path: own.socketPath });
      await tpm.extend(4, new Uint8Array(32).fill(9));
    }
    await assert.rejects(secretFromProgram(program(own.socketPath)), refused);
  },
);

// SECURITY.md: HUB-82
test(
  'by default the kernel, its command line and its initrd are part of the boot state of the sealing, and another one opens nothing',
  { skip: skipWithoutTpm },
  async () => {
    await using simulators = await testSimulators();
    const { socketPath } = await simulators.start('own');
    const at = ['--tpm', `unix:${socketPath}`];
    const files = { usual: join(simulators.folder, 'usual.json'), former: join(simulators.folder, 'former.json') };
    const sealed = await edgekeep(['secrets', 'tpm-seal', files.usual, ...at]);
    assert.equal(sealed.status, 0, sealed.output);
    assert.match(
      sealed.output,
      /PCRs 0, 2, 4, 7, 8, 9, 11, 12 in .*\nwarning: nothing was measured .*\nA thief of the/,
    );
    // The default of the version before.
    assert.equal((await edgekeep(['secrets', 'tpm-seal', files.former, '--pcrs', '0,2,4,7', ...at])).status, 0);
    const open = async (file: string) =>
      secretFromProgram([process.execPath, command, 'secrets', 'tpm-unseal', file, ...at]);
    assert.equal((await open(files.usual)).length, 32);
    {
      await using tpm = await TpmRootOfTrust.open({ kind: 'unix', path: socketPath });
      await tpm.extend(11, new Uint8Array(32).fill(9));
    }
    await assert.rejects(open(files.usual), { code: 'unlock-refused' });
    assert.equal((await open(files.former)).length, 32);
    const again = join(simulators.folder, 'again.json');
    assert.doesNotMatch((await edgekeep(['secrets', 'tpm-seal', again, ...at])).output, /warning/);
  },
);

// SECURITY.md: HUB-82
test(
  'with a PIN the machine alone opens nothing, and its TPM counts wrong ones',
  { skip: skipWithoutTpm },
  async () => {
    await using simulators = await testSimulators();
    const { socketPath } = await simulators.start('own');
    const at = ['--tpm', `unix:${socketPath}`];
    const pins = { right: join(simulators.folder, 'pin'), wrong: join(simulators.folder, 'wrong-pin') };
    await writeFile(pins.right, '271828\n', { mode: 0o600 });
    await writeFile(pins.wrong, '271829\n', { mode: 0o600 });
    const file = join(simulators.folder, 'unlock.json');
    const sealed = await edgekeep(['secrets', 'tpm-seal', file, '--pin-file', pins.right, ...at]);
    assert.equal(sealed.status, 0, sealed.output);
    assert.match(sealed.output, /PCRs 0, 2, 4, 7 and a PIN in .*\nA thief of the whole machine needs the PIN too/);
    assert.doesNotMatch(await readFile(file, 'utf8'), /271828/);
    const unseal = (...pin: readonly string[]) => [
      process.execPath,
      command,
      'secrets',
      'tpm-unseal',
      file,
      ...pin,
      ...at,
    ];
    const open = async (...pin: readonly string[]) => secretFromProgram(unseal(...pin));
    const first = await open('--pin-file', pins.right);
    assert.equal(first.length, 32);
    const refused = { code: 'unlock-refused' };
    // Without the PIN, with a wrong one, and with one that others can read.
    await assert.rejects(open(), refused);
    await assert.rejects(open('--pin-file', pins.wrong), refused);
    assert.deepEqual(await open('--pin-file', pins.right), first);
    const seen = join(simulators.folder, 'seen');
    await writeFile(seen, '271828\n', { mode: 0o644 });
    await assert.rejects(open('--pin-file', seen), refused);
    // The TPM locks itself before all PINs are tried: then the right one is refused too.
    for (let tries = 0; tries < 6; tries += 1) await assert.rejects(open('--pin-file', pins.wrong), refused);
    await assert.rejects(open('--pin-file', pins.right), refused);
  },
);

// SECURITY.md: DEV-61
test('the key of a model that was wrapped for this TPM is none of the secrets that the program prints', async (t) => {
  const file = join(await temporaryFolder(t), 'wrapped.json');
  const blob = { kind: 'tpm-import', publicArea: 'AA', duplicate: 'AA', encryptedSeed: 'AA', pcrs: [0] };
  await writeFile(file, JSON.stringify({ ...blob, authValue: `${'A'.repeat(42)}E` }));
  const run = await edgekeep(['secrets', 'tpm-unseal', file, '--tpm', 'unix:/nonexistent']);
  assert.notEqual(run.status, 0);
  assert.match(run.output, /is the key of a model, not a secret/);
});

test('a program that fails, prints too little or too much, or is not named absolutely unlocks nothing', async () => {
  const prints = (expression: string) => [process.execPath, '-e', `process.stdout.write(${expression})`];
  assert.equal((await secretFromProgram(prints("'x'.repeat(32)"))).length, 32);
  const refused = { code: 'unlock-refused' };
  await assert.rejects(secretFromProgram(prints("'x'.repeat(31)")), refused);
  await assert.rejects(secretFromProgram(prints("'x'.repeat(33)")), refused);
  await assert.rejects(secretFromProgram(prints("'x'.repeat(1e6)")), refused);
  await assert.rejects(
    secretFromProgram([process.execPath, '-e', "process.stdout.write('x'.repeat(32)); process.exitCode = 1"]),
    refused,
  );
  await assert.rejects(secretFromProgram(['/nonexistent/program']), refused);
  await assert.rejects(secretFromProgram(['node']), { code: 'settings-invalid' });
  await assert.rejects(secretFromProgram([]), { code: 'settings-invalid' });
});

const codeOf = (error: unknown) => (error instanceof HubRefusal ? error.code : error);

/** Asks until the roll-over has ended; each answer waits for the store after the previous batch. */
async function finished(operator: Operator): Promise<void> {
  while (!(await operator.get('/v1/platform-key', platformKeyView)).finished);
}

async function entriesOf(operator: Operator): Promise<readonly string[]> {
  const { entries } = await operator.get('/v1/audit?from=0&limit=1000', auditList);
  return entries.map(({ kind }) => kind);
}
