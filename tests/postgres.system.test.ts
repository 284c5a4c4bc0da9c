// The main job with the store on a PostgreSQL server as an operator sets it up: over a network in TLS, with a password, and a role that has the rights of
// docs/postgresql.md. A device with a TPM enrolls, gets its key, and is quarantined; server and hub start again in between.
import assert from 'node:assert/strict';
import { messageOf } from '@edgekeep/core/message-of';
import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { type NetworkServer, onServer, startNetworkServer } from '@edgekeep/hub/store/testing-server';
import { HubProcess } from './support/hub-process.ts';
import type { TestDevice } from './support/test-device.ts';
import { model, skipWithoutTpm, TpmWorld } from './support/tpm-world.ts';

const skip = skipWithoutTpm === false ? onServer.skip : skipWithoutTpm;
const root = join(import.meta.dirname, '..');
let folder: string;
let server: NetworkServer;
let fleet: TpmWorld;
let device: TestDevice;

before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-postgres-'));
  server = await startNetworkServer();
  const [passwordFile, caFile] = [join(folder, 'password'), join(folder, 'ca.pem')];
  writeFileSync(passwordFile, `${server.password}\n`, { mode: 0o600 });
  writeFileSync(caFile, server.certificate, { mode: 0o600 });
  fleet = await TpmWorld.open({ store: { url: server.url, passwordFile, caFile }, witness: { quorum: 0 } });
  device = await fleet.device('press-1');
});
after(async () => {
  if (skip !== false) return;
  await fleet?.[Symbol.asyncDispose]();
  server?.[Symbol.dispose]();
  await rm(folder, { recursive: true });
});

test(
  'a device gets the key of a model from a hub whose store is a database, and its receipt is in the log',
  { skip },
  async () => {
    const { world } = fleet;
    assert.equal(existsSync(join(world.hubFolder, 'hub.sqlite')), false);
    {
      await using link = await device.connect(world.hub);
      await device.release(link, model.name, model.version);
    }
    await world.integrated();
    assert.equal((await world.entries('key-released')).length, 1);
    const key = encodeVerifierKey(world.hub.logKey);
    const words = [
      'cli/src/main.ts',
      'audit',
      'verify',
      'hub',
      '--key',
      key,
      '--operator',
      world.operatorFile,
      '--json',
    ];
    assert.match((await promisify(execFile)(process.execPath, words, { cwd: root })).stdout, /"verified"/);
    await world.hub.checkState();
  },
);

test(
  'while its server is away a hub says so and gives nothing, and goes on when the server is back',
  { skip },
  async () => {
    const { world } = fleet;
    await using link = await device.connect(world.hub);
    await server.halt();
    try {
      // The challenge is refused, or the release: the hub may have what the first asks for.
      const asked = await device.askForKey(link, model.name, model.version).then(
        ({ status, body }) => `${status} ${Buffer.from(body).toString()}`,
        (error: unknown) => messageOf(error),
      );
      assert.match(asked, /503[^]*"store-unavailable"/);
      const ready = await world.askOperator('GET', '/readyz');
      assert.equal(ready.status, 503);
      const said = Buffer.from(ready.body).toString();
      assert.match(said, /"resource":"store","message":"commits fail: the database of the store takes no connections/);
      assert.doesNotMatch(said, /127\.0\.0\.1|correct horse/);
    } finally {
      await server.launch();
    }
    await device.release(link, model.name, model.version);
  },
);

// SECURITY.md: HUB-112
test(
  'a hub process that was killed leaves nothing behind, and the password is in no argument and no file of the hub',
  { skip },
  async () => {
    const { world } = fleet;
    const { rootPem } = world.hub;
    await world.stop();
    let commandLine: string;
    {
      await using first = await HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
      commandLine = readFileSync(`/proc/${first.processId}/cmdline`, 'utf8');
      await first.kill();
    }
    {
      await using second = await HubProcess.start(world.hubFolder, world.operatorFile, rootPem);
      await using link = await device.connect(second);
      await device.release(link, model.name, model.version);
      await second.stop();
    }
    const files = readdirSync(world.hubFolder, { recursive: true, withFileTypes: true }).filter((each) =>
      each.isFile(),
    );
    const texts = [commandLine, ...files.map((each) => readFileSync(join(each.parentPath, each.name), 'latin1'))];
    assert.ok(texts.length > 10 && texts.every((text) => !text.includes('correct horse')));
  },
);

test('a quarantined device gets no key after a restart', { skip }, async () => {
  const { world } = fleet;
  await world.start();
  await world.setState('press-1', 'quarantine');
  await world.restart();
  await assert.rejects(async () => {
    await using link = await device.connect(world.hub);
    await device.release(link, model.name, model.version);
  });
  assert.equal((await world.device('press-1')).state, 'quarantined');
});
