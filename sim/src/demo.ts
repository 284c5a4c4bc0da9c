// The main job, shown: a hub, a publisher, four devices. Two healthy ones get the key and classify images. The one with an altered boot is
// refused, and the boot event is named. The one without a TPM is refused or allowed by policy, with its tier shown.
import { tiers } from '@edgekeep/core/attest/tier';
import { witnessPolicyView } from '@edgekeep/wire/api/audit';
import { counted } from '@edgekeep/core/counted';
import { makeFolder } from '@edgekeep/host/make-folder';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { exists } from '@edgekeep/host/missing-file';
import { readGuardSettings } from '@edgekeep/cli/guard/settings';
import { publishModel } from '@edgekeep/cli/model/publication';
import { publishReferenceValues } from '@edgekeep/cli/reference/publish';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { encodeReferenceValues } from '@edgekeep/core/attest/reference-values';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { defaultPolicyText } from '@edgekeep/core/policy/built-in';
import { lockFolder } from '@edgekeep/hub/store/folder-lock';
import { assignedGroups } from '@edgekeep/wire/api/model';
import { enrollmentTokenResponse } from '@edgekeep/wire/api/enrollment-token';
import { modelList } from '@edgekeep/wire/api/model-release';
import { policyView } from '@edgekeep/wire/api/policy';
import { referenceValuesView } from '@edgekeep/wire/api/reference-values';
import { groupList, groupView, importReport } from '@edgekeep/wire/api/registry';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { type Application, signApplication } from './application.ts';
import { type DemoDevice, startDemoAgent } from './demo-device.ts';
import { type DemoHub, startDemoHub, type DemoPorts } from './demo-hub.ts';
import { healthyStages, referenceValuesOf } from './firmware.ts';
import { powerOnFleet } from './fleet.ts';
import { Outcome } from './outcome.ts';
import type { Progress } from './progress.ts';

const example = join(dirname(fileURLToPath(import.meta.url)), '../../examples/surface-inspection');
const demoGroup = 'presses';
export const demoModel = { name: 'surface-inspection', version: '1.0.0' } as const;

// Allows a software root of trust: it cannot be affirmed, but its boot statement must at least not be contradicted.
const softwareAllowedPolicy = `@id("attested-tpm")
permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model)
when { principal in resource.groups && context.attestation.tier == "tpm" && context.attestation.status == "affirming" };

@id("software-too")
permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model)
when { principal in resource.groups && context.attestation.tier == "software" && context.attestation.status == "warning" && context.attestation.executables == 3 };
`;

export interface Demo {
  readonly hub: DemoHub;
  readonly outcomes: readonly Outcome[];
  readonly testImages: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Runs the demo until every device has reached its outcome; then it runs until disposed. */
export async function startDemo(
  folder: string,
  options: { readonly allowSoftware: boolean; readonly ports: DemoPorts; readonly progress: Progress },
): Promise<Demo> {
  const { progress } = options;
  await using stack = new AsyncDisposableStack();
  await makeFolder(folder, { mode: 0o700 });
  // Before any device is powered on: the simulators of a running demo are in this folder.
  stack.use(lockFolder(folder));
  const { devices, withoutTpm } = await powerOnFleet(folder, progress, stack);
  const allowSoftware = options.allowSoftware || withoutTpm;

  const hub = await startDemoHub(folder, await vendorRoots(devices), options.ports, (line) => progress.say(line));
  stack.use(hub.hub);
  progress.say(hub.isNew ? 'made a hub: keys, certificate authority, audit log' : 'using the hub of the last start');
  const application = await signApplication(join(folder, 'publisher', 'application'), hub.publisher);
  await publishBoot(folder, hub, application, progress);
  await publishExample(hub, progress);
  await applyPolicy(hub, allowSoftware, progress);
  await assignModel(
    hub,
    devices.map(({ order: { id } }) => id),
    progress,
  );

  const order = { allowSoftware, progress };
  const outcomes = await Promise.all(devices.map((device) => start(stack, hub, device, application, order)));
  await Promise.all(outcomes.map((outcome) => outcome.settled));
  const moved = stack.move();
  return { hub, outcomes, testImages: join(example, 'test-set'), [Symbol.asyncDispose]: () => moved.disposeAsync() };
}

/** The policy of this start: a policy of an earlier start with other devices is replaced. */
async function applyPolicy({ operator }: DemoHub, allowSoftware: boolean, progress: Progress): Promise<void> {
  const { text } = await operator.get('/v1/policy', policyView);
  const isAllowed = text === softwareAllowedPolicy;
  if (isAllowed === allowSoftware) return;
  const wanted = allowSoftware ? softwareAllowedPolicy : defaultPolicyText;
  await operator.send('PUT', '/v1/policy', { text: wanted }, policyView);
  // Without hardware nobody else could witness the receipts.
  const counting = tiers.filter((tier) => allowSoftware || tier !== 'software');
  const witnesses = { quorum: 1, tiers: counting, whenUnmet: 'name-weaker', text: null };
  await operator.send('PUT', '/v1/witness-policy', witnesses, witnessPolicyView);
  progress.say(
    allowSoftware
      ? 'policy: software-only devices are allowed too'
      : 'policy: the default again, keys for attested TPM devices only',
  );
}

/** The model is for the devices' group, even before they have enrolled: the policy releases its key to no other device. */
async function assignModel({ operator }: DemoHub, ids: readonly string[], progress: Progress): Promise<void> {
  const { groups } = await operator.get('/v1/groups', groupList);
  if (!groups.some(({ name }) => name === demoGroup))
    await operator.send('POST', '/v1/groups', { name: demoGroup, description: 'the devices of the demo' }, groupView);
  const lines = ids.map((id) => `${JSON.stringify({ id, groups: [demoGroup] })}\n`);
  await operator.sendLines('/v1/devices/import', () => Readable.from(lines), importReport);
  const path = `/v1/models/${demoModel.name}/groups`;
  const assigned = await operator.get(path, assignedGroups);
  if (assigned.groups.includes(demoGroup)) return;
  await operator.send('POST', path, { add: [demoGroup] }, assignedGroups);
  progress.say(
    `${demoModel.name} is for the group ${demoGroup}: ${counted(ids.length, 'device')}, and no other gets its key`,
  );
}

async function vendorRoots(devices: readonly DemoDevice[]): Promise<ReadonlyMap<string, string>> {
  const simulator = devices.find((device) => device.simulator !== undefined)?.simulator;
  if (simulator === undefined) return new Map();
  const { root, intermediate } = await simulator.vendorCertificates();
  return new Map([
    ['swtpm-root.pem', root],
    ['swtpm-intermediate.pem', intermediate],
  ]);
}

async function publishBoot(folder: string, hub: DemoHub, application: Application, progress: Progress): Promise<void> {
  const version = `1.0.0-${application.build}`;
  const schema = z.object({ referenceValues: z.array(referenceValuesView) });
  const { referenceValues } = await hub.operator.get('/v1/reference-values', schema);
  if (referenceValues.some((known) => known.version === version)) return;
  const values = referenceValuesOf(
    healthyStages,
    application.stages.map(({ measurement }) => measurement),
    version,
  );
  const file = join(folder, 'publisher', 'reference-values.json');
  await makeFolder(dirname(file));
  await writeFile(file, encodeReferenceValues(values));
  await publishReferenceValues(hub.operator, file, hub.publisher);
  progress.say(`published what a healthy boot looks like: ${values.events.length} events, signed`);
}

async function publishExample(hub: DemoHub, progress: Progress): Promise<void> {
  const { models } = await hub.operator.get('/v1/models', modelList);
  const { name, version } = demoModel;
  if (models.some((model) => model.name === name && model.version === version && model.state === 'published')) return;
  const release = await publishModel(hub.operator, {
    path: join(example, 'models/primary.onnx'),
    fallback: join(example, 'models/fallback.onnx'),
    guard: await readGuardSettings(join(example, 'guard.json')),
    name,
    version,
    signer: hub.publisher,
    progress: () => {},
  });
  progress.say(`published ${name} ${version}: signed, sealed, ${release.files.length} files`);
}

async function start(
  stack: AsyncDisposableStack,
  hub: DemoHub,
  device: DemoDevice,
  application: Application,
  options: { readonly allowSoftware: boolean; readonly progress: Progress },
): Promise<Outcome> {
  const { id, tier, stages } = device.order;
  const allowed = tier === 'tpm' || options.allowSoftware;
  const expected = stages !== healthyStages ? 'attestation-refused' : allowed ? 'serving' : 'release-refused';
  const outcome = new Outcome(id, tier, expected, demoModel.name, options.progress);
  const { hub: running } = hub;
  const agent = await startDemoAgent(device, {
    hub: {
      ...running.deviceAddress,
      rootPem: running.rootPem,
      logKey: encodeVerifierKey(running.logKey),
      attestationKeyPem: running.attestationKeyPem,
    },
    publisherPem: encodePublicKeyPem(hub.publisher.publicKey),
    application,
    model: demoModel.name,
    enrollmentToken: (await isEnrolled(device)) ? undefined : await enrollmentToken(hub, device),
    // Every start of the demo powers the devices on: each boot is new.
    bootId: `demo-${process.pid}-${Date.now()}`,
    onEvent: (event) => outcome.observe(event),
  });
  stack.use(agent);
  outcome.socketPath = join(device.folder, 'state', 'run', `${demoModel.name}.sock`);
  return outcome;
}

async function isEnrolled(device: DemoDevice): Promise<boolean> {
  return exists(join(device.folder, 'state', 'enrolled.json'));
}

async function enrollmentToken(hub: DemoHub, { order: { id, tier } }: DemoDevice): Promise<string> {
  const body = { deviceId: id, tier, lifeSeconds: 600 };
  return (await hub.operator.send('POST', '/v1/enrollment-tokens', body, enrollmentTokenResponse)).token;
}
