// Writes what a version leaves on disk, for the next version's tests: a hub's data folder, its backup, and the state of an agent. Run at commit
// bb920f5 it made `before-world.tar.gz`. Every key in such a file is a test key.
// usage: node tests/upgrade/make-fixture.ts FILE.tar.gz
import { execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { apiTokenAnswer } from '@edgekeep/wire/api/people';
import { z } from 'zod';
import { healthyBoot } from '../support/boot.ts';
import { HubWorld } from '../support/hub-world.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestAgent, allowSoftware } from '../support/test-agent.ts';

const [target] = process.argv.slice(2);
if (target === undefined) throw new TypeError('say where to put it');
const anything = z.unknown();
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
    settings: { leaseSeconds: 600, witness: { quorum: 1, roundSeconds: 1 } },
  });
  const { operator } = world;
  await allowSoftware(world);
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
    { name: 'plant', networks: ['10.0.0.0/8', '2001:0DB8::/32', '2001:db8::/32'], country: 'AT' },
    anything,
  );
  await operator.send(
    'PUT',
    '/v1/countries',
    {
      networks: [
        { network: '2001:db8::/32', country: 'AT' },
        { network: '2001:0db8::/32', country: 'DE' },
        { network: '2001:DB8::/32', country: 'CH' },
        { network: '127.0.0.0/8', country: 'AT' },
      ],
    },
    anything,
  );
  const made = apiTokenAnswer;
  await operator.send('POST', '/v1/people', { name: 'berta' }, anything);
  await operator.send(
    'POST',
    '/v1/tokens',
    { name: 'ci', scopes: ['models:read'], service: true, lifeSeconds: 31_536_000 },
    made,
  );
  await operator.send(
    'POST',
    '/v1/tokens',
    { name: 'child-of-admin', scopes: ['devices:read'], lifeSeconds: 31_536_000 },
    made,
  );
  await world.enrollmentToken({ deviceId: 'press-9', tier: 'software', lifeSeconds: 86_400 });
  await using thin = await TestDevice.withoutTpm('thin-1', join(root, 'thin'), healthyBoot);
  await thin.enroll(world);
  await operator.send(
    'POST',
    '/v1/devices/thin-1/tags',
    { set: { line: 'press', place: 'Fábrica'.normalize('NFD') } },
    anything,
  );
  await world.setState('thin-1', 'quarantine');
  await using agent = await TestAgent.prepare(world, 'press-1', { models: [{ name: 'opaque', use: 'program' }] });
  const story = await agent.start();
  await story.next('ready');
  await operator.send('POST', '/v1/devices/press-1/tags', { set: { line: 'press' } }, anything);
  await world.integrated();
  await agent.stop();
  await world.stop();
  await mkdir(join(folder, 'before-world'), { recursive: true });
  await backUpHub({
    folder: world.hubFolder,
    file: join(folder, 'before-world', 'hub.backup'),
    plain: true,
    blobs: true,
  });
  await cp(world.hubFolder, join(folder, 'before-world', 'hub'), { recursive: true });
  await cp(agent.stateFolder, join(folder, 'before-world', 'agent'), {
    recursive: true,
    filter: (path) => !path.endsWith('.sock'),
  });
  await cp(join(root, 'thin'), join(folder, 'before-world', 'thin'), { recursive: true });
  await writeFile(
    join(folder, 'before-world', 'README'),
    'Written by tests/upgrade/make-fixture.ts. Every key in it is a test key.\n',
  );
}
execFileSync('tar', ['--sort=name', '--owner=0', '--group=0', '-czf', target, '-C', folder, 'before-world']);
await rm(folder, { recursive: true });
await rm(root, { recursive: true, force: true });
