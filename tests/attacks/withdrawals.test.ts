// Every order that takes a key from a device, given while a release is decided: once it is answered, no key is recorded any more. And every other
// changing route of operators, with the reason why it is none: a new kind of withdrawal without its race fails here.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { after, test, type TestContext } from 'node:test';
import { hybridWrapType } from '@edgekeep/core/access/wrap-context';
import { sha256Hex } from '@edgekeep/core/digest';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { releaseResponse } from '@edgekeep/wire/api/access';
import { Database } from '@edgekeep/hub/store/database';
import { keyFingerprint } from '@edgekeep/core/model/signature/key-mode';
import { utf8 } from '@edgekeep/core/bytes';
import { everyAttestedTpmPolicyText } from '@edgekeep/core/policy/built-in';
import { DiceRootOfTrust } from '@edgekeep/hardware/dice/dice-root-of-trust';
import { DiceSimulator, DiceVendor } from '@edgekeep/hardware/dice/testing-simulator';
import { AccessGate, type DeviceAsk } from '@edgekeep/hub/access/gate';
import type { ImaPolicy } from '@edgekeep/core/attest/ima-policy';
import { authorityOverview, issuingRequestResponse, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { policyView } from '@edgekeep/wire/api/policy';
import { WireError } from '@edgekeep/wire/error';
import { accepted, type Answer } from '../support/answer.ts';
import { healthyBoot, referenceValuesOf } from '../support/boot.ts';
import { closeAll } from '../support/closing.ts';
import type { DeviceLink } from '../support/device-link.ts';
import { askForWraps, newSeed, registerHybridKey } from '../support/hybrid-device.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';
import { policyForAnyTier } from '../support/software-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { skipWithoutTpm, TpmWorld } from '../support/tpm-world.ts';

type Method = 'POST' | 'PUT' | 'DELETE';

interface Stage {
  readonly world: HubWorld;
  readonly id: string;
  readonly device: TestDevice;
  readonly link: DeviceLink;
  readonly model: string;
}

interface Race {
  /** Software where left out. */
  readonly on?: 'dice' | 'tpm';
  /** The address that it connects from. */
  readonly from?: string;
  /** Makes the device get its key by what is withdrawn later. */
  readonly prepare?: (stage: Stage) => Promise<unknown>;
  readonly withdraw: (stage: Stage) => Promise<unknown>;
  /** What the next race must not meet. */
  readonly undo?: (stage: Stage) => Promise<unknown>;
  readonly ask?: (stage: Stage) => Promise<Answer>;
  /** In place of no key: what takes no key from the device, and must not be in its answer. */
  readonly settles?: (stage: Stage, answer: Answer | undefined) => Promise<void>;
}

const reason = { reason: 'withdrawn' };
const order = async ({ world }: Pick<Stage, 'world'>, method: Method, path: string, body?: object): Promise<void> => {
  const token = await world.adminToken();
  const sent = body === undefined ? {} : { body: JSON.stringify(body) };
  const { status, body: answered } = await world.askOperator(method, path, { token, ...sent });
  assert.equal(status, 200, `${method} ${path}: ${Buffer.from(answered).toString()}`);
};
const setPolicy = ({ world }: Pick<Stage, 'world'>, text: string) =>
  world.operator.send('PUT', '/v1/policy', { text }, policyView);
const onlyWhen = (condition: string) =>
  `@id("test") permit (principal, action == Edgekeep::Action::"releaseKey", resource)
  when { context.attestation.instanceIdentity == 2 && ${condition} };`;
const toDevice = (verb: string, body: object = reason): Pick<Race, 'withdraw'> => ({
  withdraw: (stage) => order(stage, 'POST', `/v1/devices/${stage.id}/${verb}`, body),
});
const ofGroup = (filter?: string): Required<Pick<Race, 'prepare'>> => ({
  prepare: async (stage) => {
    await order(stage, 'POST', '/v1/groups', { name: `g-${stage.id}`, ...(filter !== undefined && { filter }) });
    if (filter === undefined) await order(stage, 'POST', `/v1/groups/g-${stage.id}/members`, { add: [stage.id] });
    await setPolicy(stage, onlyWhen(`principal in Edgekeep::Group::"g-${stage.id}"`));
  },
});
const atSite: Required<Pick<Race, 'prepare'>> = {
  prepare: async (stage) => {
    await order(stage, 'POST', '/v1/sites', { name: `s-${stage.id}`, networks: ['127.0.0.0/8'] });
    await order(stage, 'POST', `/v1/sites/s-${stage.id}/devices`, { add: [stage.id] });
    await setPolicy(stage, onlyWhen('context.network.atSite'));
  },
};

const rootOf = ({ folder, clock }: HubWorld) => OfflineRoot.open(join(folder, 'root'), clock.now);

async function deviceAuthority({ world }: Stage) {
  const { issuing } = await world.operator.get('/v1/authorities', authorityOverview);
  const active = issuing.find(({ class: kind, status }) => kind === 'device' && status === 'active');
  assert.ok(active !== undefined);
  return active;
}

async function installNext(stage: Stage): Promise<void> {
  const { world } = stage;
  const path = '/v1/authorities/request';
  const { request } = await world.operator.send('POST', path, { classes: ['device'] }, issuingRequestResponse);
  const certificates = await (await rootOf(world)).signIssuing(request);
  await order(stage, 'POST', '/v1/authorities/install', { certificates });
}

/** By method and route, as the hub names them. */
const races: Readonly<Record<string, Race>> = {
  'POST /v1/devices/:id/quarantine': toDevice('quarantine'),
  'POST /v1/devices/:id/retire': toDevice('retire'),
  'POST /v1/devices/:id/disable': toDevice('disable'),
  'POST /v1/devices/:id/wiped': {
    withdraw: async (stage) => {
      await toDevice('quarantine').withdraw(stage);
      await toDevice('wiped').withdraw(stage);
    },
  },
  'POST /v1/devices/:id/forget-hybrid-key': {
    prepare: ({ device, link }) => registerHybridKey(device, link, newSeed()),
    ...toDevice('forget-hybrid-key'),
    ask: ({ device, link, model }) => askForWraps(device, link, { name: model, version: '1.0.0' }, [hybridWrapType]),
  },
  'POST /v1/certificates/revoke': {
    withdraw: (stage) =>
      order(stage, 'POST', '/v1/certificates/revoke', { devices: [stage.id], reason: 'keyCompromise', note: 'n' }),
  },
  'POST /v1/blocked-addresses': {
    from: '127.0.0.2',
    withdraw: (stage) => order(stage, 'POST', '/v1/blocked-addresses', { network: '127.0.0.2', ...reason }),
    // Its connection ends, and what was made for it does not leave.
    settles: async (_stage, answer) => assert.equal(answer, undefined),
    undo: (stage) => order(stage, 'POST', '/v1/blocked-addresses/unblock', { network: '127.0.0.2', ...reason }),
  },
  'POST /v1/groups/:name/members': {
    ...ofGroup(),
    withdraw: (stage) => order(stage, 'POST', `/v1/groups/g-${stage.id}/members`, { remove: [stage.id] }),
  },
  'DELETE /v1/groups/:name': { ...ofGroup(), withdraw: (stage) => order(stage, 'DELETE', `/v1/groups/g-${stage.id}`) },
  'POST /v1/devices/:id/tags': {
    prepare: async (stage) => {
      await order(stage, 'POST', `/v1/devices/${stage.id}/tags`, { set: { line: 'press' } });
      await ofGroup('tags.line==press').prepare(stage);
    },
    ...toDevice('tags', { remove: ['line'] }),
  },
  'PUT /v1/devices/:id/desired': {
    prepare: async (stage) => {
      await order(stage, 'PUT', `/v1/devices/${stage.id}/desired`, { attributes: { line: 1 } });
      await ofGroup('desired.line==1').prepare(stage);
    },
    withdraw: (stage) => order(stage, 'PUT', `/v1/devices/${stage.id}/desired`, { attributes: { line: 2 } }),
  },
  'PUT /v1/sites/:name': {
    ...atSite,
    withdraw: (stage) => order(stage, 'PUT', `/v1/sites/s-${stage.id}`, { networks: ['10.0.0.0/8'] }),
  },
  'POST /v1/sites/:name/devices': {
    ...atSite,
    withdraw: (stage) => order(stage, 'POST', `/v1/sites/s-${stage.id}/devices`, { remove: [stage.id] }),
  },
  'DELETE /v1/sites/:name': {
    ...atSite,
    withdraw: (stage) => order(stage, 'DELETE', `/v1/sites/s-${stage.id}`),
  },
  'PUT /v1/countries': {
    prepare: async (stage) => {
      await order(stage, 'PUT', '/v1/countries', { networks: [{ network: '127.0.0.0/8', country: 'AT' }] });
      await setPolicy(stage, onlyWhen('context.network has country && context.network.country == "AT"'));
    },
    withdraw: (stage) => order(stage, 'PUT', '/v1/countries', { networks: [] }),
  },
  'POST /v1/models/:name/groups': {
    prepare: async (stage) => {
      await ofGroup().prepare(stage);
      await order(stage, 'POST', `/v1/models/${stage.model}/groups`, { add: [`g-${stage.id}`] });
      await setPolicy(stage, onlyWhen('principal in resource.groups'));
    },
    withdraw: (stage) => order(stage, 'POST', `/v1/models/${stage.model}/groups`, { remove: [`g-${stage.id}`] }),
  },
  'PUT /v1/policy': { withdraw: (stage) => setPolicy(stage, onlyWhen('principal == Edgekeep::Device::"another"')) },
  'POST /v1/policy/rollback': {
    prepare: async (stage) => {
      await setPolicy(stage, onlyWhen('principal == Edgekeep::Device::"another"'));
      await setPolicy(stage, policyForAnyTier);
    },
    withdraw: async (stage) => {
      const { version } = await stage.world.operator.get('/v1/policy', policyView);
      await order(stage, 'POST', '/v1/policy/rollback', { version: version - 1 });
    },
  },
  'POST /v1/models/:name/:version/withdraw': {
    withdraw: (stage) => order(stage, 'POST', `/v1/models/${stage.model}/1.0.0/withdraw`),
  },
  'POST /v1/models/:name/:version/publish': {
    withdraw: ({ world, model }) => world.publishModel(model, '2.0.0', 'weights'),
  },
  'PUT /v1/post-quantum': {
    prepare: async (stage) => {
      await order(stage, 'POST', '/v1/groups', { name: `g-${stage.id}` });
      await order(stage, 'POST', `/v1/groups/g-${stage.id}/members`, { add: [stage.id] });
    },
    withdraw: (stage) => order(stage, 'PUT', '/v1/post-quantum', { groups: [`g-${stage.id}`] }),
    undo: (stage) => order(stage, 'PUT', '/v1/post-quantum', { groups: [] }),
  },
  'PUT /v1/witness-policy': {
    withdraw: (stage) =>
      order(stage, 'PUT', '/v1/witness-policy', { quorum: 500, tiers: ['tpm'], whenUnmet: 'refuse', text: null }),
    undo: (stage) =>
      order(stage, 'PUT', '/v1/witness-policy', { quorum: 0, tiers: ['tpm'], whenUnmet: 'name-weaker', text: null }),
  },
  'DELETE /v1/vendor-roots/:kind/:sha256': {
    on: 'dice',
    withdraw: (stage) =>
      order(stage, 'DELETE', `/v1/vendor-roots/dice/${sha256Hex(maker.root.der)}?reason=stolen&force=true`),
  },
  'POST /v1/reference-values': {
    on: 'tpm',
    withdraw: ({ world }) => {
      const values = referenceValuesOf(healthyBoot.slice(0, -1), '2.0');
      return world.publishReferenceValues({ ...values, type: 'edgekeep-reference-values/v3', lowestVersion: '2.0' });
    },
    undo: ({ world }) => world.withdrawReferenceValues(referenceValuesOf(healthyBoot, '1.0').name, '2.0'),
  },
  'POST /v1/reference-values/:name/:version/withdraw': {
    on: 'tpm',
    withdraw: ({ world }) => world.withdrawReferenceValues(referenceValuesOf(healthyBoot, '1.0').name, '1.0'),
  },
  'POST /v1/authorities/issuing/:id/revoke': {
    prepare: installNext,
    withdraw: async (stage) =>
      order(stage, 'POST', `/v1/authorities/issuing/${(await deviceAuthority(stage)).id}/revoke`, { note: 'stolen' }),
  },
  'POST /v1/authorities/keys/list': {
    withdraw: async (stage) => {
      const { world } = stage;
      const stolen = { purposes: ['attestation-result'], stolenAt: world.clock.now() };
      const { request } = await world.operator.send('POST', '/v1/authorities/keys/request', stolen, keyRequestResponse);
      const keyList = await (await rootOf(world)).signKeys(request);
      await order(stage, 'POST', '/v1/authorities/keys/list', { keyList });
    },
    // The key of the hub's results was stolen: what leaves now has a result by the next one, which readers of the receipt take.
    settles: async ({ world }, answer) => {
      assert.ok(answer !== undefined);
      const { receipt } = accepted(answer, releaseResponse);
      const trust = { ...(await world.trust()), policy: witnessPolicy([], 0) };
      const verdict = verifyReceipt(Buffer.from(receipt, 'base64url'), trust);
      assert.deepEqual(verdict.kind === 'refused' ? verdict.reasons : [], []);
    },
  },
};

const maker = await DiceVendor.create('Example chips');
const opened: AsyncDisposable[] = [];
let plain: HubWorld | undefined;
let tpm: TpmWorld | undefined;
let count = 0;
after(() => closeAll(...opened.toReversed()));

const settings = { witness: { quorum: 0 } };

async function worldFor(on: Race['on']): Promise<HubWorld> {
  if (on === 'tpm') {
    if (tpm === undefined) opened.push((tpm = await TpmWorld.open(settings)));
    return tpm.world;
  }
  if (plain === undefined) opened.push((plain = await HubWorld.open({ settings, diceRoots: [maker.rootPem] })));
  return plain;
}

async function deviceFor(on: Race['on'], world: HubWorld, id: string): Promise<TestDevice> {
  if (on === 'tpm' && tpm !== undefined) return tpm.newDevice(id);
  const stateFolder = join(world.folder, id);
  if (on !== 'dice') return TestDevice.withoutTpm(id, stateFolder);
  const layers = ['boot', 'runtime'].map((image) => {
    return { image: utf8(image), vendor: 'Example', model: 'E1', version: '1.0', svn: 1 };
  });
  const handoff = await new DiceSimulator(maker, randomBytes(32)).boot(layers);
  return TestDevice.with(id, await DiceRootOfTrust.open(handoff, { stateFolder, bootId: 'boot-1' }));
}

async function stageFor({ on, from }: Race): Promise<Stage> {
  const world = await worldFor(on);
  count += 1;
  const id = `press-${count}`;
  const device = await deviceFor(on, world, id);
  opened.push(device);
  await device.enroll(world);
  const model = `belt-${count}`;
  await world.publishModel(model, '1.0.0', 'weights');
  await setPolicy({ world }, on === 'tpm' ? everyAttestedTpmPolicyText : policyForAnyTier);
  const link = await device.connect(world.hub, from);
  opened.push(link);
  return { world, id, device, link, model };
}

const plainAsk = ({ device, link, model }: Stage) => device.askForBoundKey(link, model, '1.0.0');

async function keysOf({ world, id }: Stage): Promise<number> {
  return (await world.entries('key-released')).filter(({ subject }) => subject === `device:${id}`).length;
}

/** Runs once the policy has permitted the next key, and before it is recorded; settles with `act`. */
function onceDecided(
  t: TestContext,
  act: () => Promise<unknown>,
  done: PromiseWithResolvers<unknown> = Promise.withResolvers(),
): Promise<unknown> {
  const watched = t.mock.method(AccessGate.prototype, 'judge', async function (this: AccessGate, ask: DeviceAsk) {
    watched.mock.restore();
    const judgement = await this.judge(ask);
    if (ask.action !== 'releaseKey') void onceDecided(t, act, done);
    else {
      assert.equal(judgement.decision.kind, 'permitted');
      await act().then(done.resolve, done.reject);
    }
    return judgement;
  });
  return done.promise;
}

/** A connection that was cut has no answer. */
async function answerOf(asked: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

for (const [route, race] of Object.entries(races)) {
  const { on, prepare, withdraw, undo, settles, ask = plainAsk } = race;
  // SECURITY.md: HUB-55, DEV-73, HUB-91, NET-14
  test(
    `no key is recorded once ${route} was answered while it was decided`,
    { skip: on === 'tpm' && skipWithoutTpm },
    async (t) => {
      const stage = await stageFor(race);
      await prepare?.(stage);
      assert.equal((await ask(stage)).status, 200);
      assert.equal(await keysOf(stage), 1);
      const answered = onceDecided(t, () => withdraw(stage));
      const [answer] = await Promise.all([answerOf(ask(stage)), answered]);
      if (settles !== undefined) await settles(stage, answer);
      else {
        assert.ok(answer === undefined || answer.status >= 400, `${answer?.status}`);
        assert.equal(await keysOf(stage), 1);
      }
      await undo?.(stage);
    },
  );
}

const imaPolicy: ImaPolicy = {
  type: 'edgekeep-ima-policy/v1',
  name: 'runtime',
  version: '1.0.0',
  for: ['test-device'],
  files: { '/opt/edgekeep/agent': [`sha256:${'ab'.repeat(32)}`] },
  excludes: [],
};

/** Runs before the next write of a request, after everything that it reads first. */
function beforeNextWrite(t: TestContext, act: () => Promise<unknown>): void {
  const watched = t.mock.method(
    Database.prototype,
    'write',
    async function (this: Database, ...asked: Parameters<Database['write']>) {
      watched.mock.restore();
      await act();
      return this.write(...asked);
    },
  );
}

const publications: Readonly<Record<string, (world: HubWorld) => Promise<unknown>>> = {
  'model is': (world) => world.publishModel('surface', '1.0.0', 'weights'),
  'reference values are': (world) => world.publishReferenceValues(referenceValuesOf(healthyBoot, '1.0')),
  'IMA policy is': (world) => world.publishImaPolicy(imaPolicy),
};

for (const [what, publish] of Object.entries(publications)) {
  // SECURITY.md: HUB-101
  test(`no ${what} accepted once POST /v1/publishers/:sha256/end was answered, though the signature was verified before`, async (t) => {
    await using world = await HubWorld.open({ settings: { pcrs: [0, 2, 4, 7, 8, 9, 10] } });
    const end = `/v1/publishers/${keyFingerprint(world.publisher.publicKey)}/end`;
    beforeNextWrite(t, () => order({ world }, 'POST', end, { note: 'stolen' }));
    await assert.rejects(publish(world), { code: 'publisher-untrusted' });
  });
}

/** Every other changing route, by the reason why it takes no key from a device. */
const besides: Readonly<Record<string, readonly string[]>> = {
  'gives a right or a fact, and takes none': [
    'POST /v1/authorities/install',
    'POST /v1/authorities/issuing/:id/activate',
    'POST /v1/authorities/keys/:id/activate',
    'POST /v1/authorities/roots',
    'POST /v1/blocked-addresses/unblock',
    'POST /v1/blocked-roots/:root/unblock',
    'POST /v1/claim',
    'POST /v1/approvals/:id/approve',
    'POST /v1/devices/:id/enable',
    'POST /v1/devices/:id/release',
    'POST /v1/devices/:id/retry-model',
    'POST /v1/devices/:id/workloads/:name/enable',
    'POST /v1/devices/import',
    'POST /v1/enrollment-groups',
    'POST /v1/enrollment-groups/:name/enable',
    'POST /v1/enrollment-groups/:name/tokens',
    'POST /v1/enrollment-tokens',
    'POST /v1/groups',
    'POST /v1/models',
    'PUT /v1/models/:name/:version/files/*',
    'POST /v1/people',
    'POST /v1/people/:name/enable',
    'POST /v1/publishers',
    'POST /v1/sites',
    'POST /v1/token-devices',
    'POST /v1/tokens',
    'POST /v1/vendor-roots',
    'POST /v1/workloads',
  ],
  'decides about no key and no connection of a device': [
    'POST /v1/alerts/:id/acknowledge',
    'POST /v1/alerts/:id/close',
    'POST /v1/approvals/:id/refuse',
    'POST /v1/authorities/issuing/:id/abandon',
    'POST /v1/authorities/keys/:id/abandon',
    'POST /v1/authorities/keys/request',
    'POST /v1/authorities/request',
    'POST /v1/authorities/roots/:sha256/overlap',
    // What is on it was revoked here before.
    'POST /v1/authorities/roots/:sha256/list',
    'POST /v1/event-cursors/:name/reset',
    'POST /v1/nodes/:name/remove',
    'POST /v1/nodes/invitations',
    'POST /v1/platform-key/roll',
    'POST /v1/policy/simulate',
    'POST /v1/post-quantum/simulate',
    'POST /v1/token-devices/:id/roll',
    'DELETE /v1/webhooks/:name',
    'POST /v1/webhooks',
    'POST /v1/webhooks/:name/dead-letters/drop',
    'POST /v1/webhooks/:name/dead-letters/retry',
    'POST /v1/webhooks/:name/enable',
    'POST /v1/webhooks/:name/secret',
    'POST /v1/webhooks/:name/test',
  ],
  'ends rights of operators': [
    'POST /v1/people/:name/disable',
    'POST /v1/tokens/:id/hand-over',
    'POST /v1/tokens/:name/revoke',
  ],
  'decides who may enroll': [
    'DELETE /v1/enrollment-groups/:name',
    'DELETE /v1/expected-devices/:id',
    'POST /v1/blocked-roots',
    'POST /v1/devices/:id/replace-root',
    'POST /v1/enrollment-groups/:name/disable',
    'POST /v1/enrollment-tokens/:id/hand-over',
    'POST /v1/enrollment-tokens/:id/revoke',
    'PUT /v1/enrollment-groups/:name/limit',
  ],
  'counts for appraisals, whose race is in hub/src/attest/appraiser.test.ts': [
    'POST /v1/ima-policies',
    'POST /v1/ima-policies/:name/:version/withdraw',
  ],
  'ends certificates of workloads, which get no key': [
    'POST /v1/devices/:id/workloads/:name/disable',
    'POST /v1/workloads/:name/remove',
  ],
  'ends what a publisher may publish, above': ['POST /v1/publishers/:sha256/end'],
};

test('every changing route of operators has its race here, or a reason why it takes no key', async () => {
  const { hub } = await worldFor(undefined);
  const changing = hub.routes.operator
    .filter(({ method }) => ['POST', 'PUT', 'DELETE'].includes(method))
    .map(({ method, url }) => `${method} ${url}`)
    // A question about certificates, by a method that has a body.
    .filter((route) => route !== 'POST /ocsp' && route !== 'POST /v1/join');
  const listed = [...Object.keys(races), ...Object.values(besides).flat()];
  assert.deepEqual(listed.toSorted(), [...new Set(changing)].toSorted());
});
