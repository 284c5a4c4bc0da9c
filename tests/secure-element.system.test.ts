// A device with a secure element against a real hub: SoftHSM2 replaces the chip.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { inspect, promisify } from 'node:util';
import { type AgentSettingsInput, parseAgentSettings } from '@edgekeep/agent/settings';
import { startAgent } from '@edgekeep/agent/start-agent';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { HardwareError } from '@edgekeep/hardware/error';
import { Pkcs11RootOfTrust } from '@edgekeep/hardware/pkcs11/pkcs11-root-of-trust';
import { skipWithoutSoftHsm, softHsmModule, type TestTokens, testTokens } from '@edgekeep/hardware/pkcs11/testing';
import { certificateResponse } from '@edgekeep/wire/api/enrollment';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { policyView } from '@edgekeep/wire/api/policy';
import { closeAll } from './support/closing.ts';
import { accepted, assertRefused } from './support/answer.ts';
import { DeviceLink, zeroNonce } from './support/device-link.ts';
import { HubWorld } from './support/hub-world.ts';
import { TestAgent } from './support/test-agent.ts';
import { TestDevice } from './support/test-device.ts';

const skip = await skipWithoutSoftHsm();
const page = await readFile(join(import.meta.dirname, '../docs/secure-elements.md'), 'utf8');
const [, pagePolicy = ''] = /```cedar\n([\s\S]*?)```/.exec(page) ?? [];
// Other tests cover groups.
const policy = pagePolicy.replaceAll('principal in resource.groups && ', '');
const content = 'weights for devices with a chip';
const models = [{ name: 'opaque', use: 'program' as const }];
const labels = ['agent-1', 'agent-2', 'victim', 'thief', 'claimant', 'spare', 'kit'];
let world: HubWorld;
let tokens: TestTokens;

before(async () => {
  if (skip !== false) return;
  tokens = await testTokens(...labels);
  world = await HubWorld.open();
  await world.publishModel('opaque', '1.0.0', content);
});
after(async () => {
  if (skip !== false) return;
  await closeAll(tokens, world);
});

async function enrollmentToken(deviceId: string): Promise<string> {
  const order = { deviceId, tier: 'secure-element' };
  return (await world.operator.send('POST', '/v1/enrollment-tokens', order, enrollmentTokenResponse)).token;
}

function settingsOf(label: string): Partial<AgentSettingsInput> {
  const { pinFile } = tokens.place(label);
  return { rootOfTrust: { kind: 'pkcs11', module: softHsmModule, token: label, pinFile }, models };
}

async function agentOn(label: string): Promise<TestAgent> {
  const device = await TestAgent.prepare(world, label, settingsOf(label));
  await writeFile(join(device.stateFolder, 'enrollment-token'), await enrollmentToken(label));
  return device;
}

async function deviceOn(label: string): Promise<TestDevice> {
  const place = { ...tokens.place(label), stateFolder: join(tokens.folder, label), bootId: 'boot-1' };
  return TestDevice.with(label, await Pkcs11RootOfTrust.open(place));
}

async function applyPolicy(text: string): Promise<void> {
  await world.operator.send('PUT', '/v1/policy', { text }, policyView);
}

test(
  'two agents on two tokens enroll and attest, get no key by the default policy, and one where the tier is allowed',
  {
    skip,
  },
  async () => {
    await using first = await agentOn('agent-1');
    await using second = await agentOn('agent-2');
    for (const device of [first, second]) {
      const story = await device.start();
      await story.next('enrolled');
      const { tier, status, reasons } = await story.next('attested');
      assert.deepEqual([tier, status], ['secure-element', 'warning']);
      assert.ok(reasons.some(({ code }) => code === 'measured-by-software'));
      const refusal = await story.next('refused');
      assert.deepEqual([refusal.step, refusal.code], ['release', 'release-refused']);
      assert.match(
        JSON.stringify(refusal),
        /attested-tpm would if context.attestation.tier .*it is [^a-z]*secure-element/,
      );
      assert.ok(!story.has('released'));
    }
    await applyPolicy(policy);
    for (const device of [first, second]) await device.story.next('ready');

    const [released] = (await world.entries('key-released')).filter(({ subject }) => subject === 'device:agent-1');
    assert.match(JSON.stringify(released), /"tier":"secure-element"/);
    const [known] = (await world.entries('device-enrolled')).filter(({ subject }) => subject === 'device:agent-1');
    assert.match(JSON.stringify(known), /"tier":"secure-element"/);

    // The agent's events, and its stored files.
    const told = inspect([...first.story.events, ...second.story.events], { depth: 10 });
    const kept = await Promise.all(
      (await readdir(first.stateFolder, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => readFile(join(entry.parentPath, entry.name))),
    );
    for (const secret of [tokens.pin('agent-1'), tokens.pin('agent-2'), content]) {
      assert.ok(!told.includes(secret));
      assert.ok(!Buffer.concat(kept).includes(secret));
    }

    await first.stop();
    const again = await first.start();
    await again.next('recovered');
    await again.next('ready');
  },
);

test(
  'a copied state folder does not start on another token, and the hub does not take it for the device',
  { skip },
  async () => {
    await applyPolicy(policy);
    await using owner = await agentOn('victim');
    await (await owner.start()).next('ready');
    await owner.stop();
    await using copy = await TestAgent.prepare(world, 'victim', settingsOf('spare'));
    await cp(owner.stateFolder, copy.stateFolder, { recursive: true });
    await assert.rejects(copy.start(), (error: unknown) => {
      return error instanceof HardwareError && error.code === 'pkcs11-token-changed';
    });
    // A thief removes the obstacle.
    await rm(join(copy.stateFolder, 'root-of-trust'), { recursive: true });
    const story = await copy.start();
    const refusal = await story.next('refused');
    assert.equal(refusal.code, 'renewal-refused');
    assert.match(JSON.stringify(refusal), /signature-invalid/);
    assert.ok(!story.has('released'));
  },
);

test('a stolen operational certificate and key are refused on another token', { skip }, async () => {
  await applyPolicy(policy);
  await using victim = await deviceOn('claimant');
  await using thief = await deviceOn('thief');
  accepted(await victim.tryEnroll(world, await enrollmentToken('claimant')), certificateResponse);
  await using stolen = await DeviceLink.open(world.hub, victim.credential);
  assertRefused(await stolen.ask('GET', '/v1/models/opaque'), { status: 401, code: 'connection-unbound' });
  const refused = { status: 403, code: 'bind-refused', reason: 'signature-invalid' };
  assertRefused(await thief.bind(stolen), refused);
  // Nor does a statement that the victim made for another connection.
  await using own = await victim.connect(world.hub);
  const evidence = await victim.evidence('bind', zeroNonce, own.exporter);
  const replayed = { status: 403, code: 'bind-refused', reason: 'qualifying-data-mismatch' };
  assertRefused(await stolen.ask('POST', '/v1/bind', { evidence }), replayed);
  // The wrapped key is useless too: it opens in the victim's token alone.
  const { wrappedKey, lease } = await victim.release(own, 'opaque', '1.0.0');
  assert.equal(wrappedKey.kind, 'hpke');
  assert.equal((await victim.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id })).length, 32);
  await assert.rejects(thief.rootOfTrust.openKey(wrappedKey, { leaseId: lease.id }), (error: unknown) => {
    return error instanceof HardwareError && error.code === 'wrapped-key-refused';
  });
});

test(
  'a key in a file does not pass for a secure element: the token must have been made for that tier',
  { skip },
  async () => {
    await using claimant = await TestDevice.withoutTpm('pretender', join(tokens.folder, 'pretender'));
    const claim = (honest: object) => ({ start: () => ({ ...honest, identity: identityOf }) });
    const described = await claimant.identity();
    assert.ok(described.kind === 'software');
    const identityOf = { ...described, kind: 'secure-element' };
    const forAnyTier = await world.enrollmentToken({ deviceId: 'pretender' });
    const answer = await claimant.tryEnroll(world, forAnyTier, claim({ deviceId: 'pretender', token: forAnyTier }));
    assertRefused(answer, { status: 403, code: 'enrollment-refused', reason: 'tier-not-vouched' });
    const forSoftware = await world.enrollmentToken({ deviceId: 'pretender', tier: 'software' });
    const other = await claimant.tryEnroll(world, forSoftware, claim({ deviceId: 'pretender', token: forSoftware }));
    assertRefused(other, { status: 403, code: 'enrollment-refused' });
    assertRefused(await claimant.tryEnroll(world, undefined, claim({ deviceId: 'pretender' })), {
      status: 403,
      code: 'enrollment-refused',
    });
  },
);

test('enrollment needs the signing key itself, a good agreement key, and a token of its own', { skip }, async () => {
  await using device = await deviceOn('spare');
  const token = await enrollmentToken('spare');
  const identity = await device.identity();
  assert.ok(identity.kind === 'secure-element');
  // Another device's public key: it did not sign the evidence.
  await using other = await TestDevice.withoutTpm('other', join(tokens.folder, 'other'));
  const described = await other.identity();
  assert.ok(described.kind === 'software');
  const borrowed = { ...identity, signingKey: described.signingKey };
  const notMine = await device.tryEnroll(world, token, { start: (honest) => ({ ...honest, identity: borrowed }) });
  assertRefused(notMine, { status: 403, code: 'enrollment-refused', reason: 'signature-invalid' });
  const point = Buffer.from(parseBase64url(identity.encryptionKey, 'key'));
  point[64] = (point[64] ?? 0) ^ 1;
  for (const encryptionKey of [toBase64url(point), toBase64url(randomBytes(65)), '']) {
    const broken = { start: (honest: object) => ({ ...honest, identity: { ...identity, encryptionKey } }) };
    assertRefused(await device.tryEnroll(world, token, broken), { status: 400, code: 'request-invalid' });
  }
  accepted(await device.tryEnroll(world, token), certificateResponse);
});

test(
  'a policy that asks for the tier alone is refused: it would serve a device whose attestation failed',
  { skip },
  async () => {
    const bare =
      'permit (principal, action == Edgekeep::Action::"releaseKey", resource) when { context.attestation.tier == "secure-element" };';
    await assert.rejects(applyPolicy(bare), /policy-constrains-nothing|permits a device whose attestation failed/);
  },
);

test('a kit made for a token has all its agent needs but the PIN, and enrolls in its tier', { skip }, async () => {
  const stateFolder = join(world.folder, 'kit');
  const { pinFile } = tokens.place('kit');
  const own = ['--pkcs11', softHsmModule, '--token', 'kit', '--pin-file', pinFile];
  const words = ['enroll', 'kit', 'kit', '--out', stateFolder, '--operator', world.operatorFile, ...own];
  const made = await promisify(execFile)(process.execPath, [join(import.meta.dirname, '../cli/src/main.ts'), ...words]);
  assert.match(made.stdout, /carry it to the device/);
  const text = await readFile(join(stateFolder, 'agent.json'), 'utf8');
  assert.ok(!text.includes(tokens.pin('kit')));
  await using agent = await startAgent(parseAgentSettings({ ...JSON.parse(text), stateFolder, checkinSeconds: 0.3 }));
  while (agent.status().state !== 'online') await pause(50);
  assert.equal((await world.device('kit')).tier, 'secure-element');
});
