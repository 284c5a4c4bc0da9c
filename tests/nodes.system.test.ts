// Two nodes of one hub over a PostgreSQL database: the second joins with a one-time code, both use the same keys, and one is removed.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { encodeJoinCode, joinCodePublicKey, joinSecretLength } from '@edgekeep/core/authority/join-code';
import { toBase64url, toHex } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { keyIdentifierOf } from '@edgekeep/core/identity/public-key';
import { initHub } from '@edgekeep/hub/commands/init';
import { joinHub } from '@edgekeep/hub/commands/join';
import { openSealed } from '@edgekeep/hub/secrets/open-keys';
import { parseHubSettings, readHubSettings } from '@edgekeep/hub/settings';
import { serverPrograms } from '@edgekeep/hub/store/testing-cluster';
import { databaseOf, dropDatabase } from '@edgekeep/hub/store/testing-place';
import { type Hub, startHub } from '@edgekeep/hub/wiring/start';
import { authorityOverview, issuingRequestResponse } from '@edgekeep/wire/api/authority';
import { inviteResponse, nodeList, removeNodeResponse } from '@edgekeep/wire/api/node';
import { platformKeyRollResponse, platformKeyView } from '@edgekeep/wire/api/platform-key';
import { HubConnection } from '@edgekeep/wire/link/hub-connection';
import { OfflineRoot } from './support/offline-root.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
const onServer = { skip: missing };

let scratch = '';
before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-nodes-'));
});
after(() => rm(scratch, { recursive: true, force: true }));

/** The unlocker of every node here. */
const secret = randomBytes(32);
const offer = () => Promise.resolve({ kind: 'program' as const, secret: Uint8Array.from(secret) });
const anyPort = { device: { port: 0 }, operator: { port: 0 } };

/** Starts what is in a folder, as `edgekeep hub run` does. */
async function start(folder: string): Promise<Hub> {
  const keys = await openSealed(join(folder, 'keys'), await offer());
  const settings = await readHubSettings(folder);
  return startHub(
    folder,
    { ...settings, device: { ...settings.device, port: 0 }, operator: { ...settings.operator, port: 0 } },
    undefined,
    keys,
  );
}

class Nodes implements AsyncDisposable {
  readonly folder: string;
  readonly #stack = new AsyncDisposableStack();
  readonly #place: Awaited<ReturnType<typeof databaseOf>>;

  private constructor(folder: string, place: Awaited<ReturnType<typeof databaseOf>>) {
    this.folder = folder;
    this.#place = place;
    this.#stack.defer(() => dropDatabase(place));
  }

  /** A hub in a new database, which does not run yet; its keys are sealed. */
  static async make(name: string): Promise<Nodes> {
    const place = await databaseOf(`${name} ${process.pid}`);
    const nodes = new Nodes(join(scratch, name), place);
    const url = `postgres://${place.user}@/${place.database}?host=${place.host}`;
    const shared = { names: ['localhost'], logOrigin: 'hub.test/log', logLevel: 'silent', store: { url } };
    const settings = parseHubSettings({ ...shared, workloads: { trustDomain: 'hub.test' }, ...anyPort }, 'settings');
    const unlockers = [{ kind: 'program' as const, secret: Uint8Array.from(secret) }];
    const rootFolder = join(scratch, `${name}-root`);
    await initHub(join(nodes.folder, 'one'), { settings, nowMs: Date.now(), unlockers, rootFolder });
    return nodes;
  }

  get place() {
    return this.#place;
  }

  async start(name: string): Promise<Hub> {
    return this.#stack.use(await start(join(this.folder, name)));
  }

  /** The first person at a node. */
  async operator(hub: Hub) {
    const made: unknown = JSON.parse(await readFile(join(this.folder, 'one', 'operator.json'), 'utf8'));
    const file = join(this.folder, `operator-${hub.operatorAddress.port}.json`);
    const url = `https://127.0.0.1:${hub.operatorAddress.port}`;
    await writeFile(file, JSON.stringify({ ...(typeof made === 'object' ? made : {}), url, root: hub.rootPem }), {
      mode: 0o600,
    });
    return operatorFromFile(file);
  }

  /** A code of this node for another one. */
  async invite(hub: Hub, name: string): Promise<string> {
    const [der = new Uint8Array(0)] = parsePem(hub.rootPem, 'CERTIFICATE');
    const rootSha256 = certificateDigest(parseCertificate(der));
    const code = { rootSha256, secret: new Uint8Array(randomBytes(joinSecretLength)) };
    const body = { name, publicKey: toBase64url(joinCodePublicKey(code)), lifeSeconds: 60 };
    await (await this.operator(hub)).send('POST', '/v1/nodes/invitations', body, inviteResponse);
    const { port } = hub.operatorAddress;
    return encodeJoinCode({ ...code, url: `https://127.0.0.1:${port}`, serverName: 'localhost' });
  }

  async join(code: string, name: string): Promise<void> {
    await joinHub(join(this.folder, name), {
      code,
      unlockers: async () => [{ kind: 'program', secret: Uint8Array.from(secret) }],
      offer,
      ownSettings: { ...anyPort, logLevel: 'silent' },
      nowMs: Date.now,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** The id of the CA that certified the operator listener. */
async function issuerOf({ operatorAddress, rootPem }: Hub): Promise<string> {
  await using connection = await HubConnection.open({
    ...operatorAddress,
    serverName: 'localhost',
    authoritiesPem: [rootPem],
  });
  return toHex(keyIdentifierOf(connection.serverChain[1]?.spki ?? new Uint8Array(0)));
}

/** Looks again until it is so; the runner ends a test that waits for ever. */
async function until<T>(look: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look();
    if (isSo(value)) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test('a machine joins with a code, and what one node makes the other uses', onServer, async () => {
  await using nodes = await Nodes.make('join');
  const one = await nodes.start('one');
  await nodes.join(await nodes.invite(one, 'two'), 'two');
  const two = await nodes.start('two');
  const [first, second] = [await nodes.operator(one), await nodes.operator(two)];
  assert.equal(two.rootPem, one.rootPem);
  assert.deepEqual(two.logKey, one.logKey);
  const listed = await until(
    () => second.get('/v1/nodes', nodeList),
    ({ nodes: all }) => all.every(({ state }) => state === 'running'),
  );
  assert.equal(listed.self, 'two');
  assert.equal(listed.nodes.length, 2);
  // A CA that was made at the first certifies the listeners of the second.
  const root = await OfflineRoot.open(join(scratch, 'join-root'), Date.now);
  const { id, request } = await first.send(
    'POST',
    '/v1/authorities/request',
    { classes: ['server'] },
    issuingRequestResponse,
  );
  const installed = { certificates: await root.signIssuing(request), activate: 'now', force: true };
  await first.send('POST', '/v1/authorities/install', installed, authorityOverview);
  await until(
    () => issuerOf(two),
    (issuer) => issuer === id,
  );
  // A platform key too.
  const rolled = await first.send('POST', '/v1/platform-key/roll', {}, platformKeyRollResponse);
  await until(
    () => second.get('/v1/platform-key', platformKeyView),
    ({ version }) => version === rolled.version,
  );
});

// SECURITY.md: HUB-123
test('a removed node ends, and does not start again', onServer, async () => {
  await using nodes = await Nodes.make('remove');
  const one = await nodes.start('one');
  await nodes.join(await nodes.invite(one, 'two'), 'two');
  const two = await nodes.start('two');
  const operator = await nodes.operator(one);
  await operator.send('POST', '/v1/nodes/two/remove', { reason: 'stolen' }, removeNodeResponse);
  assert.equal((await two.refused).code, 'node-ended');
  await two[Symbol.asyncDispose]();
  await assert.rejects(nodes.start('two'), { code: 'node-unknown' });
  const { nodes: all } = await operator.get('/v1/nodes', nodeList);
  assert.deepEqual(new Set(all.map(({ state }) => state)), new Set(['running', 'removed']));
  assert.equal(all.find(({ name }) => name === 'two')?.state, 'removed');
});

// SECURITY.md: HUB-127
test('a copied data folder and a folder that never joined do not start', onServer, async () => {
  await using nodes = await Nodes.make('copied');
  const one = await nodes.start('one');
  const copy = join(nodes.folder, 'copy');
  await cp(join(nodes.folder, 'one'), copy, { recursive: true });
  await assert.rejects(start(copy), { code: 'node-in-use' });
  await rm(join(copy, 'keys', 'node.json'));
  await assert.rejects(start(copy), { code: 'node-unknown' });
  await one[Symbol.asyncDispose]();
  // The keys of the hub are in the store, and the folder has the key of the node.
  await nodes.start('one');
});
