// Two nodes of one hub in this process, on one PostgreSQL database: each is a world of its own, with its folder, its tiles and its ports.
import { randomBytes } from 'node:crypto';
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeJoinCode, joinCodePublicKey, joinSecretLength } from '@edgekeep/core/authority/join-code';
import { toBase64url } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { joinHub } from '@edgekeep/hub/commands/join';
import { encodeHubSettings, readHubSettings } from '@edgekeep/hub/settings';
import { serverPrograms } from '@edgekeep/hub/store/testing-cluster';
import { databaseOf, dropDatabase } from '@edgekeep/hub/store/testing-place';
import { jobList } from '@edgekeep/wire/api/job';
import { inviteResponse } from '@edgekeep/wire/api/node';
import { HubWorld, type WorldOptions } from './hub-world.ts';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
/** For tests of several nodes: why they cannot run on this machine. */
export const nodesTest = {
  skip: serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false,
};

export class TwoNodes implements AsyncDisposable {
  readonly a: HubWorld;
  readonly b: HubWorld;
  readonly #opened: AsyncDisposableStack;

  private constructor(a: HubWorld, b: HubWorld, opened: AsyncDisposableStack) {
    this.a = a;
    this.b = b;
    this.#opened = opened;
  }

  /** The first one has made the hub; both know its publisher. */
  static async open(options: WorldOptions = {}): Promise<TwoNodes> {
    await using opened = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), 'edgekeep-nodes-'));
    opened.defer(() => rm(folder, { recursive: true, force: true }));
    const place = await databaseOf(folder);
    opened.defer(() => dropDatabase(place));
    const secret = randomBytes(32);
    const a = opened.use(await HubWorld.open({ ...options, folder: join(folder, 'a'), place, secret }));
    const b = opened.use(await joined(a, join(folder, 'b'), secret));
    return new TwoNodes(a, b, opened.move());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#opened.disposeAsync();
  }
}

const ofTheSecond = { device: { port: 0 }, operator: { port: 0 }, logLevel: 'silent' };

/** Makes a second machine a node, with a one-time code of the first. */
async function joined(a: HubWorld, folder: string, secret: Uint8Array): Promise<HubWorld> {
  const [der = new Uint8Array(0)] = parsePem(a.hub.rootPem, 'CERTIFICATE');
  const rootSha256 = certificateDigest(parseCertificate(der));
  const code = { rootSha256, secret: new Uint8Array(randomBytes(joinSecretLength)) };
  const order = { name: 'second', publicKey: toBase64url(joinCodePublicKey(code)), lifeSeconds: 60 };
  await a.operator.send('POST', '/v1/nodes/invitations', order, inviteResponse);
  const url = `https://127.0.0.1:${a.hub.operatorAddress.port}`;
  const hubFolder = join(folder, 'hub');
  await joinHub(hubFolder, {
    code: encodeJoinCode({ ...code, url, serverName: 'localhost' }),
    unlockers: async () => [{ kind: 'program', secret: Uint8Array.from(secret) }],
    offer: async () => ({ kind: 'program', secret: Uint8Array.from(secret) }),
    ownSettings: ofTheSecond,
    nowMs: a.clock.now,
  });
  await copyFile(a.operatorFile, join(hubFolder, 'operator.json'));
  const settings: object = JSON.parse(Buffer.from(encodeHubSettings(await readHubSettings(hubFolder))).toString());
  return HubWorld.reopen(folder, { ...settings, ...ofTheSecond }, secret);
}

/** Looks again until it is so; the runner ends a test that waits for ever. */
export async function until<T>(look: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look();
    if (isSo(value)) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Whether a node does the work that one node does for all. */
export async function leads({ operator }: HubWorld): Promise<boolean> {
  return (await operator.get('/v1/jobs', jobList)).leads === true;
}
