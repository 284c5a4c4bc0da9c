// Makers' certificates (spec/vendor-roots.md): imported from files and folders, listed, removed, while the hub runs; once each; watched
// until their end.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { toBase64 } from '@edgekeep/core/bytes';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { encodePem } from '@edgekeep/core/identity/pem';
import { testIssuing, testRoot } from '@edgekeep/core/identity/testing-roots';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { alertList } from '@edgekeep/wire/api/alert';
import { vendorRootImported, vendorRootList, vendorRootRemoved } from '@edgekeep/wire/api/vendor-root';
import { accepted, assertRefused } from './support/answer.ts';
import { HubWorld } from './support/hub-world.ts';
import { addPerson, firstPerson } from './support/people.ts';

const day = 86_400;
const run = promisify(execFile);
const program = join(import.meta.dirname, '../cli/src/main.ts');

const now = () => Math.floor(Date.now() / 1_000);
const period = (days = 3_650) => ({ notBeforeSeconds: now() - day, notAfterSeconds: now() + days * day });
const pem = ({ der }: Certificate) => encodePem('CERTIFICATE', der);
const order = (certificates: readonly Certificate[], more: object = {}) => ({
  kind: 'tpm',
  certificates: certificates.map(({ der }) => toBase64(der)),
  ...more,
});

async function rootsOf(world: HubWorld) {
  return (await world.operator.get('/v1/vendor-roots', vendorRootList)).roots;
}

/** `edgekeep WORDS --json` with the world's operator file; its exit code and what it wrote. */
async function edgekeep(world: HubWorld, ...words: readonly string[]) {
  const env = { ...process.env, EDGEKEEP_OPERATOR: world.operatorFile };
  try {
    const { stdout } = await run(process.execPath, [program, ...words], { env });
    return { code: 0, stdout };
  } catch (error) {
    assert.ok(error instanceof Error && 'code' in error && 'stdout' in error);
    return { code: error.code, stdout: String(error.stdout) };
  }
}

test('a bundle is imported by the command line, and each item that is no authority or no certificate is named', async () => {
  await using world = await HubWorld.open();
  const root = await testRoot(period(), 'Maker root');
  const issuing = await testIssuing(root, period());
  const folder = join(world.folder, 'makers');
  await mkdir(folder);
  await writeFile(join(folder, 'bundle.pem'), `a comment\n${pem(root.certificate)}${pem(issuing.certificate)}`);
  await mkdir(join(folder, 'family'));
  await writeFile(join(folder, 'family', 'root.der'), root.certificate.der);
  await writeFile(join(folder, 'README.txt'), 'of the maker');
  await run('openssl', [
    'crl2pkcs7',
    '-nocrl',
    '-certfile',
    join(folder, 'bundle.pem'),
    '-out',
    join(folder, 'bag.p7b'),
  ]);
  await writeFile(join(folder, 'broken.crt'), 'no certificate');
  const { code, stdout } = await edgekeep(world, 'vendor-root', 'import', folder);
  assert.equal(code, 1, stdout);
  assert.match(stdout, /skipped .*broken\.crt/);
  assert.match(stdout, /2 added as tpm, 0 were there/);
  const roots = await rootsOf(world);
  assert.deepEqual(roots.map(({ role, known, usedBy }) => `${role} ${known} ${usedBy}`).toSorted(), [
    'intermediate null 0',
    'root false 0',
  ]);
  const listed = await edgekeep(world, 'vendor-root', 'list');
  assert.match(listed.stdout, /tpm {3}root {10}unknown {2}Maker root/);
  assert.equal((await world.entries('vendor-roots-imported')).length, 1);
});

test('a certificate that others signed ends a path only when the operator says so', async () => {
  await using world = await HubWorld.open();
  const issuing = await testIssuing(await testRoot(period()), period());
  const send = (more: object) =>
    world.operator.send('POST', '/v1/vendor-roots', order([issuing.certificate], more), vendorRootImported);
  assert.equal((await send({})).certificates[0]?.role, 'intermediate');
  const anchored = (await send({ anchor: true })).certificates[0];
  assert.deepEqual([anchored?.change, anchored?.role], ['anchored', 'anchor']);
  assert.equal((await send({})).certificates[0]?.role, 'anchor');
});

// SECURITY.md: DEV-07
test('a removed certificate does not come back from its file, and an operator can bring it back', async () => {
  const { certificate } = await testRoot(period());
  await using world = await HubWorld.open({ vendorRoots: [pem(certificate)] });
  const [one] = await rootsOf(world);
  assert.equal(one?.source, 'vendor-roots/0.pem');
  const path = `/v1/vendor-roots/tpm/${one.sha256}?reason=a%20test`;
  await world.operator.send('DELETE', path, undefined, vendorRootRemoved);
  assert.deepEqual(await rootsOf(world), []);
  await world.restart();
  assert.deepEqual(await rootsOf(world), []);
  await world.operator.send('POST', '/v1/vendor-roots', order([certificate]), vendorRootImported);
  assert.equal((await rootsOf(world)).length, 1);
  assert.equal((await world.entries('vendor-root-removed')).length, 1);
});

test('a file that is taken away ends no trust, and the hub says so at its start', async () => {
  const { certificate } = await testRoot(period());
  await using world = await HubWorld.open({ vendorRoots: [pem(certificate)] });
  assert.deepEqual(world.hub.rootFolderNotices.gone, []);
  await world.stop();
  await rm(join(world.hubFolder, 'vendor-roots', '0.pem'));
  await world.start();
  assert.match(
    world.hub.rootFolderNotices.gone.join(),
    /vendor-roots\/0\.pem is gone, and its 1 certificate still counts/,
  );
  assert.equal((await rootsOf(world)).length, 1);
});

test('an unreadable file is named and skipped at the start, and refused by name where the setting says so', async () => {
  const { certificate } = await testRoot(period());
  const broken = pem(certificate).replace('MII', 'AII');
  await using world = await HubWorld.open({ vendorRoots: [pem(certificate), broken] });
  assert.match(world.hub.rootFolderNotices.unreadable.join(), /vendor-roots\/1\.pem.*: /);
  assert.equal((await rootsOf(world)).length, 1);
  assert.deepEqual(
    world.hub.vendorRoots.map(({ kind, roots, intermediates }) => `${kind} ${roots} ${intermediates}`),
    ['tpm 1 0', 'dice 0 0', 'idevid 0 0'],
  );
  const settings = { vendorRoots: { onUnreadable: 'refuse' } };
  await assert.rejects(HubWorld.open({ vendorRoots: [broken], settings }), {
    code: 'vendor-roots-unreadable',
    message: /vendor-roots\/0\.pem.*: /,
  });
});

test('a folder that is there and cannot be read stops the hub by name', async () => {
  await using world = await HubWorld.open();
  await world.stop();
  // A file in place of the folder: chmod does not stop root, and root may run this test.
  await rm(join(world.hubFolder, 'vendor-roots'), { recursive: true });
  await writeFile(join(world.hubFolder, 'vendor-roots'), '');
  await assert.rejects(world.start(), { code: 'vendor-roots-unreadable', message: /vendor-roots cannot be read/ });
  await rm(join(world.hubFolder, 'vendor-roots'));
  await world.start();
});

// SECURITY.md: DEV-07
test('where two people are on, importing and removing wait for the second', async () => {
  await using world = await HubWorld.open({ settings: { access: { twoPeople: 'on' } }, trustPublisher: false });
  const first = await firstPerson(world);
  const second = await addPerson(world, 'second');
  const { certificate } = await testRoot(period());
  const file = join(world.folder, 'makers.pem');
  await writeFile(file, pem(certificate));
  const asked = await edgekeep(world, 'vendor-root', 'import', file);
  assert.equal(asked.code, 1);
  assert.match(asked.stdout, /import-vendor-roots waits for a second person/);
  const waiting = await first.waits('POST', '/v1/vendor-roots', order([certificate]));
  assert.deepEqual(await rootsOf(world), []);
  assert.equal((await second.approve(waiting)).status, 200);
  const [one] = await rootsOf(world);
  assert.ok(one !== undefined);
  await first.waits('DELETE', `/v1/vendor-roots/tpm/${one.sha256}?reason=lost`);
  assert.equal((await rootsOf(world)).length, 1);
});

test('only a token with the scope admin imports or removes', async () => {
  await using world = await HubWorld.open();
  const { certificate } = await testRoot(period());
  const token = await world.apiToken(['devices:read', 'enrollment:write']);
  const body = JSON.stringify(order([certificate]));
  assertRefused(await world.askOperator('POST', '/v1/vendor-roots', { token, body }), {
    status: 403,
    code: 'scope-missing',
  });
  accepted(await world.askOperator('GET', '/v1/vendor-roots', { token }), vendorRootList);
});

test('a certificate of a device or a server is refused by its place, and nothing of the order is added', async () => {
  await using world = await HubWorld.open();
  const { certificate } = await testRoot(period());
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', '/dev/null'];
  const named = ['-subj', '/CN=server', '-addext', 'basicConstraints=critical,CA:FALSE'];
  const { stdout } = await run('openssl', ['req', '-x509', ...newKey, ...named]);
  const file = join(world.folder, 'server.pem');
  await writeFile(file, stdout);
  const token = await world.adminToken();
  const leaf = stdout.replaceAll(/-----[^-]+-----|\s/g, '');
  const body = JSON.stringify({ kind: 'tpm', certificates: [toBase64(certificate.der), leaf] });
  const answer = await world.askOperator('POST', '/v1/vendor-roots', { token, body });
  assertRefused(answer, { status: 422, code: 'vendor-root-refused', reason: 'not-an-authority' });
  assert.deepEqual(await rootsOf(world), []);
  assert.equal((await edgekeep(world, 'vendor-root', 'import', file)).code, 1);
});

test('an alert comes before a certificate ends and when it has ended, and goes when it is removed', async () => {
  await using world = await HubWorld.open();
  const { certificate } = await testRoot(period(60), 'Ending root');
  await world.operator.send('POST', '/v1/vendor-roots', order([certificate]), vendorRootImported);
  const standing = async () => {
    await world.hub.sweepAuthorities();
    const { alerts } = await world.operator.get('/v1/alerts?kind=certificate-expiring', alertList);
    return alerts.filter(({ subject }) => subject === 'vendor-roots').map(({ title }) => title);
  };
  assert.deepEqual(await standing(), []);
  world.clock.advanceSeconds(52 * day);
  assert.match((await standing()).join(), /root of tpm makers "CN=Ending root": ends .* within 14 days/);
  world.clock.advanceSeconds(9 * day);
  assert.match((await standing()).join(), /"CN=Ending root": ended /);
  const metrics = Buffer.from(await world.operator.getBytes('/metrics')).toString();
  assert.match(metrics, /^edgekeep_vendor_roots\{kind="tpm",role="root"\} 1$/m);
  assert.match(metrics, /^edgekeep_vendor_roots_ended\{kind="tpm"\} 1$/m);
  const [one] = await rootsOf(world);
  const path = `/v1/vendor-roots/tpm/${one?.sha256}?reason=ended`;
  await world.operator.send('DELETE', path, undefined, vendorRootRemoved);
  assert.deepEqual(await standing(), []);
});

test('a backup carries the imported certificates, and what was removed stays removed after a restore', async () => {
  const [kept, gone] = [await testRoot(period(), 'Kept'), await testRoot(period(), 'Gone')];
  await using world = await HubWorld.open({ vendorRoots: [pem(gone.certificate)] });
  const [one] = await rootsOf(world);
  const path = `/v1/vendor-roots/tpm/${one?.sha256}?reason=ended`;
  await world.operator.send('DELETE', path, undefined, vendorRootRemoved);
  await world.operator.send('POST', '/v1/vendor-roots', order([kept.certificate]), vendorRootImported);
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-restored-'));
  try {
    const file = join(folder, 'hub.backup');
    await backUpHub({ folder: world.hubFolder, file, plain: true, blobs: false });
    await restoreHub(file, join(folder, 'hub'), 'unsigned');
    // No backup contains the operator file: the earlier one is used.
    await run('cp', [world.operatorFile, join(folder, 'hub', 'operator.json')]);
    await world.stop();
    await rm(world.hubFolder, { recursive: true });
    await run('cp', ['-r', join(folder, 'hub'), world.hubFolder]);
    await world.start();
    assert.deepEqual(
      (await rootsOf(world)).map(({ subject }) => subject),
      ['CN=Kept'],
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
