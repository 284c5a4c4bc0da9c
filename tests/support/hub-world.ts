// A real hub in a temporary folder, in this process on free ports, with a publisher that it trusts: the setup of whole-system tests.
import { toBase64url } from '@edgekeep/core/bytes';
import { httpsUrl } from '@edgekeep/core/canonical/endpoint';
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { publishModel } from '@edgekeep/cli/model/publication';
import { type Operator, operatorFromFile } from '@edgekeep/cli/operator';
import { publishReferenceValues } from '@edgekeep/cli/reference/publish';
import { parseTrust, type Trust } from '@edgekeep/core/access/trust';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { encodeReferenceValues, type ReferenceValues } from '@edgekeep/core/attest/reference-values';
import type { ReleasePolicy } from '@edgekeep/core/model/release-policy';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import { initHub } from '@edgekeep/hub/commands/init';
import { openSealed } from '@edgekeep/hub/secrets/open-keys';
import { parseHubSettings } from '@edgekeep/hub/settings';
import type { StorePlace } from '@edgekeep/hub/store/engine/place';
import type { PostgresPlace } from '@edgekeep/hub/store/engine/postgres-place';
import { placeOfStore } from '@edgekeep/hub/store/place-of-store';
import { dropDatabase, storePlace } from '@edgekeep/hub/store/testing-place';
import { type Hub, startHub } from '@edgekeep/hub/wiring/start';
import { auditList, auditProof } from '@edgekeep/wire/api/audit';
import { deviceDetail, stateResponse } from '@edgekeep/wire/api/device-view';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { apiTokenResponse } from '@edgekeep/wire/api/people';
import { publisherResponse } from '@edgekeep/wire/api/publisher';
import { z } from 'zod';
import type { Answer } from './answer.ts';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';
import { imaPolicyView } from '@edgekeep/wire/api/ima-policy';
import { encodeImaPolicy, type ImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { acceptClock } from '@edgekeep/hub/commands/accept-clock';
import { TestClock } from './clock.ts';
import { makeGeneral } from './general-authority.ts';

export interface WorldOptions {
  /** PEM texts: roots and intermediates of TPM vendors. */
  readonly vendorRoots?: readonly string[];
  /** PEM texts: roots and intermediates of makers of DICE chips. */
  readonly diceRoots?: readonly string[];
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Whether it trusts the publisher from the start; left out: yes. */
  readonly trustPublisher?: boolean;
  /** Its first policy; left out: keys for every attested TPM, because most tests are not about groups. */
  readonly policyText?: string;
  /** How far the hub's clock is ahead of the machine's at first. */
  readonly aheadSeconds?: number;
  /** With the one issuing CA that hubs had before there were classes. */
  readonly generalAuthority?: boolean;
  /** Its folder; left out: a new temporary folder. */
  readonly folder?: string;
  /** Where its store is; left out: a place of the engine that this run is for. */
  readonly place?: StorePlace;
  /** Its keys are sealed, and opened by a program that prints this; left out: plain files. */
  readonly secret?: Uint8Array;
}

const quotedPcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14];

export class HubWorld {
  readonly folder: string;
  readonly clock: TestClock;
  readonly publisher: Signer = newPublisher();
  /** Where its store is, for a look from outside (outside-store.ts). */
  readonly place: StorePlace;
  /** The database that was made for it. */
  #made: PostgresPlace | undefined;
  #settings: ReturnType<typeof parseHubSettings>;
  #hub: Hub | undefined;
  #operator: Operator | undefined;
  #secret: Uint8Array | undefined;

  private constructor(
    folder: string,
    place: StorePlace,
    settings: ReturnType<typeof parseHubSettings>,
    clock: TestClock,
  ) {
    this.folder = folder;
    this.place = place;
    this.clock = clock;
    this.#settings = settings;
  }

  /** Makes the hub, starts it, and lets it trust the publisher. */
  static async open({
    vendorRoots = [],
    diceRoots = [],
    settings = {},
    folder: given,
    aheadSeconds = 0,
    trustPublisher = true,
    policyText = everyAttestedTpmPolicyText,
    generalAuthority = false,
    place: givenPlace,
    secret,
  }: WorldOptions = {}): Promise<HubWorld> {
    const folder = given ?? (await mkdtemp(join(tmpdir(), 'edgekeep-hub-')));
    const place = givenPlace ?? (await storePlace(join(folder, 'hub')));
    const free = { port: 0 };
    const parsed = parseHubSettings(
      {
        device: free,
        operator: free,
        logOrigin: 'edgekeep.test/log',
        // With EDGEKEEP_TEST_LOG=error a failing test shows the hub's own log.
        logLevel: process.env['EDGEKEEP_TEST_LOG'] ?? 'silent',
        pcrs: quotedPcrs,
        maxRequestsPerSecond: 10_000,
        maxAnonymousRequestsPerSecond: 100_000,
        // Tests move the clock by months.
        tokens: { bootstrapHours: 8_760 },
        admission: {
          maxTokenRequestsPerSecond: 10_000,
          maxAddressRequestsPerSecond: 10_000,
          maxTokenMillisecondsPerSecond: 100_000,
          maxAddressMillisecondsPerSecond: 100_000,
        },
        ...(typeof place === 'string' ? {} : { store: { url: storeUrl(place) } }),
        ...settings,
        alerts: { policyGivesAllKeys: false, stagesNotCovered: false, ...objectOf(settings['alerts']) },
      },
      'test settings',
    );
    await using started = new AsyncDisposableStack();
    const world = started.use(new HubWorld(folder, place, parsed, new TestClock(aheadSeconds)));
    if (givenPlace === undefined && typeof place !== 'string') world.#made = place;
    const order = { rootFolder: join(folder, 'root'), settings: parsed, nowMs: world.clock.now(), policyText };
    const unlockers = secret === undefined ? [] : [{ kind: 'program' as const, secret: Uint8Array.from(secret) }];
    world.#secret = secret;
    await initHub(world.hubFolder, { ...order, unlockers });
    if (generalAuthority) await makeGeneral(world.hubFolder, order.rootFolder);
    await mkdir(join(world.hubFolder, 'vendor-roots'), { recursive: true });
    await mkdir(join(world.hubFolder, 'dice-roots'), { recursive: true });
    for (const [at, pem] of diceRoots.entries()) await writeFile(join(world.hubFolder, 'dice-roots', `${at}.pem`), pem);
    for (const [at, pem] of vendorRoots.entries()) {
      await writeFile(join(world.hubFolder, 'vendor-roots', `${at}.pem`), pem);
    }
    await world.start();
    if (trustPublisher) await world.trustPublisher(world.publisher);
    started.move();
    return world;
  }

  /** Starts the hub whose data folder is `hub` in this folder, as another version left it; it does not know the publisher. */
  static async reopen(
    folder: string,
    settings: Readonly<Record<string, unknown>>,
    secret?: Uint8Array,
  ): Promise<HubWorld> {
    await using started = new AsyncDisposableStack();
    const parsed = parseHubSettings(settings, 'hub.json');
    const place = placeOfStore(join(folder, 'hub'), parsed);
    const world = started.use(new HubWorld(folder, place, parsed, new TestClock()));
    world.#secret = secret;
    await world.start();
    started.move();
    return world;
  }

  get hubFolder(): string {
    return join(this.folder, 'hub');
  }

  /** Its store, for a test of what is in a file of SQLite. */
  get storeFile(): string {
    return join(this.hubFolder, 'hub.sqlite');
  }

  get operatorFile(): string {
    return join(this.hubFolder, 'operator.json');
  }

  get hub(): Hub {
    if (this.#hub === undefined) throw new TypeError('the hub is stopped');
    return this.#hub;
  }

  get operator(): Operator {
    if (this.#operator === undefined) throw new TypeError('the hub is stopped');
    return this.#operator;
  }

  async start(): Promise<void> {
    const secret = this.#secret && Uint8Array.from(this.#secret);
    const keys = secret && (await openSealed(join(this.hubFolder, 'keys'), { kind: 'program', secret }));
    this.#hub = await startHub(this.hubFolder, this.#settings, this.clock.now, keys);
    this.#operator = await operatorAt(this.operatorFile, this.#hub.operatorAddress);
  }

  async stop(): Promise<void> {
    const undeclared = this.#hub?.routes.undeclared() ?? [];
    await this.#hub?.[Symbol.asyncDispose]();
    this.#hub = undefined;
    assert.deepEqual(undeclared, [], 'answers that the OpenAPI documents do not have');
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  /** Sets the hub's clock back, as an operator who accepts that (docs/design/hub-time.md). */
  async setBack(seconds: number): Promise<void> {
    await this.stop();
    this.clock.advanceSeconds(-seconds);
    await acceptClock(this.hubFolder, this.clock.now());
    await this.start();
  }

  /** Starts again under other names. */
  async rename(names: readonly string[]): Promise<void> {
    this.#settings = { ...this.#settings, names: [...names] };
    await this.restart();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.#made !== undefined) await dropDatabase(this.#made);
    await rm(this.folder, { recursive: true, force: true });
  }

  async trustPublisher(publisher: Signer): Promise<void> {
    const publicKey = publicPem(publisher);
    await this.operator.send('POST', '/v1/publishers', { name: 'test publisher', publicKey }, publisherResponse);
  }

  async publishReferenceValues(values: ReferenceValues): Promise<void> {
    const file = join(this.folder, 'reference-values.json');
    await writeFile(file, encodeReferenceValues(values));
    await publishReferenceValues(this.operator, file, this.publisher);
  }

  async publishImaPolicy(policy: ImaPolicy): Promise<void> {
    const file = join(this.folder, 'ima-policy.json');
    const document = encodeImaPolicy(policy);
    await writeFile(file, document);
    const bundle = await signModelFiles(file, { signer: this.publisher, ignorePaths: [] });
    const order = { document: toBase64url(document), signature: Buffer.from(bundle).toString('utf8') };
    await this.operator.send('POST', '/v1/ima-policies', order, imaPolicyView);
  }

  async withdrawReferenceValues(name: string, version: string): Promise<void> {
    const path = `/v1/reference-values/${name}/${version}/withdraw`;
    await this.operator.send('POST', path, {}, z.object({ withdrawn: z.literal(true) }));
  }

  /** Publishes one opaque file as a model. */
  async publishModel(
    name: string,
    version: string,
    content: string,
    signer = this.publisher,
    releasePolicy?: ReleasePolicy,
  ): Promise<void> {
    const path = join(this.folder, 'weights.bin');
    await writeFile(path, content);
    const order = { path, name, version, signer, releasePolicy, withoutOrt: true, progress: () => undefined };
    await publishModel(this.operator, order);
  }

  async enrollmentToken(
    order: { deviceId?: string; tier?: 'tpm' | 'dice' | 'software'; lifeSeconds?: number } = {},
  ): Promise<string> {
    return (await this.operator.send('POST', '/v1/enrollment-tokens', order, enrollmentTokenResponse)).token;
  }

  async apiToken(scopes: readonly string[], lifeSeconds = 3_600): Promise<string> {
    const order = { name: 'test', scopes, lifeSeconds };
    return (await this.operator.send('POST', '/v1/tokens', order, apiTokenResponse.extend({ token: z.string() })))
      .token;
  }

  async setState(deviceId: string, verb: 'quarantine' | 'release' | 'retire'): Promise<z.infer<typeof stateResponse>> {
    return this.operator.send('POST', `/v1/devices/${deviceId}/${verb}`, { reason: 'a test' }, stateResponse);
  }

  async device(deviceId: string): Promise<z.infer<typeof deviceDetail>> {
    return this.operator.get(`/v1/devices/${deviceId}`, deviceDetail);
  }

  /** The log's entries, newest last, of one kind. */
  async entries(kind: string): Promise<z.infer<typeof auditList>['entries']> {
    const { entries } = await this.operator.get('/v1/audit?from=0&limit=1000', auditList);
    return entries.filter((entry) => entry.kind === kind);
  }

  /** Resolves when every committed entry is under a signed checkpoint. */
  async integrated(): Promise<void> {
    const { entries } = await this.operator.get('/v1/audit?from=0&limit=1000', auditList);
    await this.operator.get(`/v1/audit/${entries.at(-1)?.index ?? 0}/proof`, auditProof);
  }

  /** The content of `GET /v1/trust`: public keys, witnesses, quorum. */
  async trust(operator = this.operator): Promise<Trust> {
    return parseTrust(await operator.getBytes('/v1/trust'));
  }

  /** A request to the operator listener, as any client may send it. */
  async askOperator(
    method: string,
    path: string,
    input: {
      readonly token?: string;
      readonly body?: Uint8Array | string;
      readonly contentType?: string;
      readonly headers?: Readonly<Record<string, string>>;
    } = {},
  ): Promise<Answer & { readonly headers: IncomingHttpHeaders }> {
    const { hostname, port } = addressOf(this.hub);
    const headers = {
      ...input.headers,
      ...(input.token === undefined ? {} : { authorization: `Bearer ${input.token}` }),
      ...(input.body === undefined ? {} : { 'content-type': input.contentType ?? 'application/json' }),
    };
    return new Promise((resolve, reject) => {
      const options = { method, path, hostname, port, headers, ca: this.hub.rootPem, servername: 'localhost' };
      const outgoing = request(options, (response) => {
        const { statusCode: status = 0, headers: answered } = response;
        // A stream of events has no end of its own.
        if (answered['content-type']?.startsWith('text/event-stream') === true) {
          resolve({ status, body: new Uint8Array(0), headers: answered });
          return void response.destroy();
        }
        return void buffer(response).then((body) => resolve({ status, body, headers: answered }), reject);
      });
      outgoing.once('error', reject);
      outgoing.end(input.body);
    });
  }

  /** The token of `operator.json`, which has every scope. */
  async adminToken(): Promise<string> {
    const { token } = z.object({ token: z.string() }).parse(JSON.parse(await readFile(this.operatorFile, 'utf8')));
    return token;
  }
}

function objectOf(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

/** The operator of a hub that took a free port when it started. */
export async function operatorAt(file: string, { host, port }: Hub['operatorAddress']): Promise<Operator> {
  const access: object = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...access, url: httpsUrl({ host, port }) }));
  return operatorFromFile(file);
}

function storeUrl({ user, host, database }: PostgresPlace): string {
  return `postgres://${user}@/${database}?host=${host}`;
}

function addressOf(hub: Hub): { readonly hostname: string; readonly port: number } {
  return { hostname: hub.operatorAddress.host, port: hub.operatorAddress.port };
}

export function newPublisher(): Signer {
  return signerFromKey(generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey);
}

export function publicPem({ publicKey }: Signer): string {
  return publicKey.export({ type: 'spki', format: 'pem' }).toString();
}
