// Writes what a version leaves on disk, for the next version's tests: a hub's data folder, its backup, and the state of an agent. Run at commit
// bb920f5 it made `before-world.tar.gz`, with the names of that commit, at 8d0f8f5, `before-house.tar.gz`, at f83494fe `before-joins.tar.gz`, at
// ed7aa418 `before-hour.tar.gz`, and at e1103c90 `before-nodes.tar.gz`. Every key in such a file is a test key.
// usage: node tests/upgrade/make-fixture.ts FILE.tar.gz
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeVerifierKey } from '@edgekeep/core/audit/note';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { backupSigner } from '@edgekeep/hub/secrets/backup-key';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { apiTokenResponse } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { healthyBoot } from '../support/boot.ts';
import { HubWorld } from '../support/hub-world.ts';
import { quotedPcrs, TestDevice } from '../support/test-device.ts';
import { TestAgent, allowSoftware } from '../support/test-agent.ts';
import { chipDevice, endPublisher, handOver, setPolicies } from './joins-parts.ts';

const [target] = process.argv.slice(2);
if (target === undefined) throw new TypeError('say where to put it');
const anything = z.unknown();
// With IMA's.
const pcrs = [...quotedPcrs, 10].toSorted((a, b) => a - b);
const given = z.object({ token: z.string() });
// Keys for software-only devices; and one service that may not enroll anybody, by a scope that the policy names.
const policy = `@id("software-too")
permit (principal is Edgekeep::Device, action == Edgekeep::Action::"releaseKey", resource is Edgekeep::Model)
when { context.attestation.instanceIdentity == 2 && context.attestation.status == "warning" };
@id("forbidden-service")
forbid (principal, action == Edgekeep::Action::"administer", resource)
when { principal == Edgekeep::Token::"service:forbidden" && context.scope == "enrollment:write" };
`;
const folder = await mkdtemp(join(tmpdir(), 'edgekeep-fixture-'));
const root = await mkdtemp(join(tmpdir(), 'edgekeep-fixture-root-'));
execFileSync('openssl', [
  'req',
  '-x509',
  '-newkey',
  'ec',
  '-pkeyopt',
  'ec_paramgen_curve:P-256',
  '-nodes',
  '-days',
  '3650',
  '-subj',
  '/O=Vendor of the past/CN=TPM root',
  '-addext',
  'keyUsage=critical,keyCertSign',
  '-keyout',
  join(root, 'key.pem'),
  '-out',
  join(root, 'vendor.pem'),
]);
const vendorRoot = await readFile(join(root, 'vendor.pem'), 'utf8');
{
  await using world = await HubWorld.open({
    folder: root,
    vendorRoots: [vendorRoot],
    // What it writes is valid at once for a hub whose clock is the machine's.
    aheadSeconds: -86_400,
    settings: {
      leaseSeconds: 600,
      pcrs,
      witness: { quorum: 1, roundSeconds: 1 },
    },
  });
  const { operator } = world;
  await allowSoftware(world);
  await setPolicies(world);
  await endPublisher(world);
  await world.publishModel('opaque', '1.0.0', 'weights of the past');
  await world.publishModel('opaque', '0.9.0', 'withdrawn weights of the past');
  await operator.send('POST', '/v1/models/opaque/0.9.0/withdraw', undefined, anything);
  await operator.send(
    'POST',
    '/v1/groups',
    { name: 'presses', description: 'all presses', filter: 'tags.line==press' },
    anything,
  );
  await operator.send(
    'POST',
    '/v1/sites',
    { name: 'plant', networks: ['10.0.0.0/8', '2001:db8::/32'], country: 'AT' },
    anything,
  );
  await operator.send(
    'PUT',
    '/v1/countries',
    {
      networks: [
        { network: '2001:db8::/32', country: 'AT' },
        { network: '127.0.0.0/8', country: 'AT' },
      ],
    },
    anything,
  );
  const made = apiTokenResponse;
  await operator.send('POST', '/v1/people', { name: 'berta' }, anything);
  await operator.send(
    'POST',
    '/v1/tokens',
    { name: 'ci', scopes: ['models:read'], service: true, lifeSeconds: 30_000_000 },
    made,
  );
  await operator.send(
    'POST',
    '/v1/tokens',
    { name: 'child-of-admin', scopes: ['devices:read'], lifeSeconds: 30_000_000 },
    made,
  );
  await operator.send('POST', '/v1/enrollment-groups', { name: 'line-3', kind: 'token', maxDevices: 5 }, anything);
  const uses = { maxUses: 3, lifeSeconds: 86_400 };
  const { token: groupToken } = await operator.send('POST', '/v1/enrollment-groups/line-3/tokens', uses, given);
  await operator.send('POST', '/v1/groups', { name: 'line', filter: 'enrollmentGroup==line-3' }, anything);
  const scopes = ['enrollment:write', 'devices:read'];
  const service = { scopes, service: true, lifeSeconds: 30_000_000 };
  const enroller = await operator.send('POST', '/v1/tokens', { name: 'enroller', ...service }, given);
  const kept = await operator.send('POST', '/v1/tokens', { name: 'forbidden', ...service }, given);
  await operator.send('PUT', '/v1/policy', { text: policy }, anything);
  await mkdir(join(root, 'kit'));
  const kit = {
    'enrollment-token': await world.enrollmentToken({ deviceId: 'press-2', tier: 'software', lifeSeconds: 86_400 }),
    'agent.json': JSON.stringify({
      deviceId: 'press-2',
      rootOfTrust: { kind: 'software' },
      maxReconnectSeconds: 0.5,
      guard: { maxInferenceSeconds: 20 },
    }),
  };
  for (const [name, text] of Object.entries(kit)) await writeFile(join(root, 'kit', name), text);
  const tokens = { group: groupToken, enroller: enroller.token, forbidden: kept.token };
  await writeFile(join(root, 'tokens.json'), JSON.stringify(tokens));
  await using thin = await TestDevice.withoutTpm('thin-1', join(root, 'thin'), healthyBoot);
  thin.pcrs = pcrs;
  await thin.enroll(world);
  await operator.send(
    'POST',
    '/v1/devices/thin-1/tags',
    { set: { line: 'press', place: 'Fábrica'.normalize('NFD') } },
    anything,
  );
  await world.setState('thin-1', 'quarantine');
  await using lost = await TestDevice.withoutTpm('thin-2', join(root, 'lost'), healthyBoot);
  lost.pcrs = pcrs;
  await lost.enroll(world);
  await operator.send(
    'POST',
    '/v1/certificates/revoke',
    { devices: ['thin-2'], reason: 'keyCompromise', note: 'it is lost' },
    anything,
  );
  await using agent = await TestAgent.prepare(world, 'press-1', {
    models: [{ name: 'opaque', use: 'program' }],
    postQuantumWitness: true,
  });
  const story = await agent.start();
  await story.next('ready');
  await operator.send('POST', '/v1/devices/press-1/tags', { set: { line: 'press' } }, anything);
  const chip = await chipDevice(world);
  await using chipAgent = chip.agent;
  await using chipTokens = chip.tokens;
  await (await chipAgent.start()).next('ready');
  await chipAgent.stop();
  const deliveredLogKey = encodeVerifierKey(world.hub.logKey);
  await handOver(world);
  // An agent asks again for the key list after ten minutes.
  world.clock.advanceSeconds(601);
  await story.next('key-list-learned');
  while ((await readFile(join(agent.stateFolder, 'checkpoint'), 'utf8')).split('\n')[0] !== 'edgekeep.test/log/2')
    await world.integrated();
  await world.integrated();
  await agent.stop();
  await world.stop();
  const signer = await backupSigner(world.hubFolder, plainKeys(join(world.hubFolder, 'keys')));
  if (signer === undefined) throw new TypeError('no key for backups');
  await mkdir(join(folder, 'next-version'), { recursive: true });
  await backUpHub({
    folder: world.hubFolder,
    file: join(folder, 'next-version', 'hub.backup'),
    plain: true,
    blobs: true,
    signer,
  });
  await cp(world.hubFolder, join(folder, 'next-version', 'hub'), { recursive: true });
  await cp(agent.stateFolder, join(folder, 'next-version', 'agent'), {
    recursive: true,
    filter: (path) => !path.endsWith('.sock'),
  });
  await cp(chipAgent.stateFolder, join(folder, 'next-version', 'chip'), {
    recursive: true,
    filter: (path) => !path.endsWith('.sock'),
  });
  await cp(chipTokens.folder, join(folder, 'next-version', 'tokens'), { recursive: true });
  await cp(join(world.folder, 'root'), join(folder, 'next-version', 'root'), { recursive: true });
  await cp(join(root, 'thin'), join(folder, 'next-version', 'thin'), { recursive: true });
  await cp(join(root, 'kit'), join(folder, 'next-version', 'kit'), { recursive: true });
  await writeFile(join(folder, 'next-version', 'log-key'), deliveredLogKey);
  await cp(join(root, 'tokens.json'), join(folder, 'next-version', 'tokens.json'));
  await writeFile(
    join(folder, 'next-version', 'README'),
    'Written by tests/upgrade/make-fixture.ts. Every key in it is a test key.\n',
  );
}
execFileSync('tar', ['--sort=name', '--owner=0', '--group=0', '-czf', target, '-C', folder, 'next-version']);
await rm(folder, { recursive: true });
await rm(root, { recursive: true, force: true });
