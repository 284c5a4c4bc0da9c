// Hubs with several nodes over one PostgreSQL database, in this process: made, joined and started as the command line does it.
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { operatorFromFile } from '@edgekeep/cli/operator';
import { encodeJoinCode, joinCodePublicKey, joinSecretLength } from '@edgekeep/core/authority/join-code';
import { toBase64url } from '@edgekeep/core/bytes';
import { certificateDigest, parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { initHub } from '@edgekeep/hub/commands/init';
import { joinHub } from '@edgekeep/hub/commands/join';
import { openSealed } from '@edgekeep/hub/secrets/open-keys';
import { parseHubSettings, readHubSettings } from '@edgekeep/hub/settings';
import { serverPrograms } from '@edgekeep/hub/store/testing-cluster';
import { databaseOf, dropDatabase } from '@edgekeep/hub/store/testing-place';
import { type Hub, startHub } from '@edgekeep/hub/wiring/start';
import { inviteResponse } from '@edgekeep/wire/api/node';
import { Client } from 'pg';

const isRootInCi = process.env['CI'] === 'true' && process.getuid?.() === 0;
const missing = serverPrograms() === undefined && !isRootInCi ? 'PostgreSQL is not installed' : false;
/** For tests that need a server. */
export const onServer = { skip: missing };

/** The unlocker of every node here. */
const secret = randomBytes(32);
const offer = () => Promise.resolve({ kind: 'program' as const, secret: Uint8Array.from(secret) });
const anyPort = { device: { port: 0 }, operator: { port: 0 } };

/** Starts what is in a folder, as `edgekeep hub run` does. */
export async function startNode(folder: string): Promise<Hub> {
  const keys = await openSealed(join(folder, 'keys'), await offer());
  const settings = await readHubSettings(folder);
  return startHub(
    folder,
    { ...settings, device: { ...settings.device, port: 0 }, operator: { ...settings.operator, port: 0 } },
    undefined,
    keys,
  );
}

export class Nodes implements AsyncDisposable {
  readonly folder: string;
  /** How often `join` asked for what opens the keys, besides for a new unlocker. */
  asked = 0;
  readonly #stack = new AsyncDisposableStack();
  readonly #place: Awaited<ReturnType<typeof databaseOf>>;

  private constructor(folder: string, place: Awaited<ReturnType<typeof databaseOf>>) {
    this.folder = folder;
    this.#place = place;
    this.#stack.defer(() => rm(folder, { recursive: true, force: true }));
    this.#stack.defer(() => dropDatabase(place));
  }

  /** A hub in a new database, which does not run yet; its keys are sealed. */
  static async make(name: string): Promise<Nodes> {
    const place = await databaseOf(`${name} ${process.pid}`);
    const nodes = new Nodes(await mkdtemp(join(tmpdir(), `edgekeep-${name}-`)), place);
    const url = `postgres://${place.user}@/${place.database}?host=${place.host}`;
    const shared = { names: ['localhost'], logOrigin: 'hub.test/log', logLevel: 'silent', store: { url } };
    const settings = parseHubSettings({ ...shared, workloads: { trustDomain: 'hub.test' }, ...anyPort }, 'settings');
    const unlockers = [{ kind: 'program' as const, secret: Uint8Array.from(secret) }];
    const { rootFolder } = nodes;
    await initHub(join(nodes.folder, 'one'), { settings, nowMs: Date.now(), unlockers, rootFolder });
    return nodes;
  }

  get place() {
    return this.#place;
  }

  /** Where `hub init` made the root. */
  get rootFolder(): string {
    return join(this.folder, 'root');
  }

  async start(name: string): Promise<Hub> {
    return this.#stack.use(await startNode(join(this.folder, name)));
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

  async join(code: string, name: string, ownSettings: object = {}): Promise<void> {
    await joinHub(join(this.folder, name), {
      code,
      unlockers: async () => [{ kind: 'program', secret: Uint8Array.from(secret) }],
      offer: () => {
        this.asked += 1;
        return offer();
      },
      ownSettings: { ...anyPort, logLevel: 'silent', ...ownSettings },
      nowMs: Date.now,
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** Looks again until it is so; the runner ends a test that waits for ever. */
export async function until<T>(look: () => Promise<T>, isSo: (value: T) => boolean): Promise<T> {
  for (;;) {
    const value = await look();
    if (isSo(value)) return value;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Writes into the database past the hub, as another version or an attacker does. */
export async function withDatabase<T>(place: Nodes['place'], work: (client: Client) => Promise<T>): Promise<T> {
  const { host, port, user, database } = place;
  const client = new Client({ host, port, user, database, password: '' });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
