// The drills of docs/authorities.md, walked: every command of their shell blocks is run as it is written, with the folders of this test.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { verifyReceipt } from '@edgekeep/core/access/receipt';
import { receiptResponse } from '@edgekeep/wire/api/access';
import { hubKeysView } from '@edgekeep/wire/api/authority';
import { closeAll } from '../support/closing.ts';
import type { HubWorld } from '../support/hub-world.ts';
import { SoftwareWorld } from '../support/software-world.ts';
import { TestAgent } from '../support/test-agent.ts';
import { TestDevice } from '../support/test-device.ts';
import { TestWitness } from '../support/witness.ts';

const run = promisify(execFile);
const repository = join(import.meta.dirname, '../..');
let fleet: SoftwareWorld;
let world: HubWorld;
let device: TestAgent;

before(async () => {
  fleet = await SoftwareWorld.open({ witness: { tiers: ['software'], roundSeconds: 1 } });
  ({ world } = fleet);
  await mkdir(join(world.folder, 'carry'));
  // The page has the root at /media/root/edgekeep.
  await symlink(join(world.folder, 'root'), join(world.folder, 'edgekeep'));
  device = await TestAgent.prepare(world, 'drilled');
  await (await device.start()).next('attested');
});
after(() => closeAll(fleet, device));

/** The commands in the shell blocks of a section of docs/authorities.md. */
async function commandsOf(heading: string): Promise<readonly string[]> {
  const page = await readFile(join(repository, 'docs/authorities.md'), 'utf8');
  const section = page.split(/^## /mu).find((text) => text.replace(/^[0-9]+\. /u, '').startsWith(heading));
  assert.ok(section !== undefined, `docs/authorities.md has no section ${heading}`);
  const blocks = [...section.matchAll(/^```sh\n(.*?)^```/gmsu)].map(([, block = '']) => block);
  return blocks.flatMap((block) => block.trim().split('\n'));
}

async function walk(heading: string, names: Readonly<Record<string, string>> = {}): Promise<void> {
  const commands = await commandsOf(heading);
  assert.ok(commands.length > 0);
  for (const command of commands) {
    const named = Object.entries(names).reduce((text, [name, value]) => text.replaceAll(name, value), command);
    await shell(named);
  }
}

// As the page has it, with this test's folders, hub and operator file.
async function shell(command: string): Promise<string> {
  const text = command
    .replace(/\s+#.*$/u, '')
    .replaceAll('/media/carry', join(world.folder, 'carry'))
    .replaceAll('/media/root/edgekeep', join(world.folder, 'edgekeep'))
    .replaceAll('receipt.json', join(world.folder, 'receipt.json'))
    .replace(/^edgekeep /u, `"${process.execPath}" "${join(repository, 'cli/src/main.ts')}" `);
  const env = { ...process.env, EDGEKEEP_OPERATOR: world.operatorFile };
  const { stdout } = await run('/bin/sh', ['-c', text], { env, cwd: world.folder });
  return stdout;
}

// SECURITY.md: HUB-91
test('the drill for a stolen key of attestation results: the next key signs, devices go on, and the old receipt verifies', async () => {
  await writeFile(join(world.folder, 'receipt.json'), await receiptOf('1.0.0'));
  await nextSecond();
  await walk('Drill: the key for attestation results was stolen');
  const { list, keys } = await world.operator.get('/v1/authorities/keys', hubKeysView);
  assert.equal(list?.number, 2);
  const results = keys.filter(({ purpose }) => purpose === 'attestation-result');
  assert.deepEqual(
    results.map(({ status, compromised }) => [status, compromised]),
    [
      ['previous', true],
      ['active', false],
    ],
  );
  await device.stop();
  await (await device.start()).next('attested');
});

// SECURITY.md: HUB-92
test('the drill for a stolen log key: the log ends, the next one goes on, devices follow, and receipts verify', async () => {
  await walk('Drill: the key of the log was stolen');
  const { list } = await world.operator.get('/v1/authorities/keys', hubKeysView);
  assert.equal(list?.number, 3);
  assert.equal(world.hub.logKey.name, 'edgekeep.test/log/2');
  const seen = async () => (await readFile(join(device.stateFolder, 'checkpoint'), 'utf8')).split('\n')[0];
  while ((await seen()) !== 'edgekeep.test/log/2') await world.operator.get('/v1/authorities/keys', hubKeysView);
});

// SECURITY.md: HUB-98
test('the drill for a stolen former key: no key in use changes, and a receipt from before the theft verifies', async () => {
  await writeFile(join(world.folder, 'receipt.json'), await receiptOf('2.0.0'));
  await nextSecond();
  await shell('edgekeep authority request-keys --replace attestation-result --out /media/carry/plain.json');
  const sign = 'edgekeep root sign-keys --folder /media/root/edgekeep --request /media/carry/plain.json';
  await shell(`${sign} --out /media/carry/plain-list.json --yes`);
  await shell('edgekeep authority install-keys /media/carry/plain-list.json');
  const { keys: before } = await world.operator.get('/v1/authorities/keys', hubKeysView);
  const former = before.find((key) => key.purpose === 'attestation-result' && key.status === 'active')?.id ?? '';
  const next = before.find(({ status }) => status === 'next')?.id ?? '';
  await shell(`edgekeep authority activate-key ${next} --force`);
  for (const wrong of ['', ' --key 00000000', ' --key 0'])
    await assert.rejects(
      shell(`edgekeep authority request-keys --stolen now${wrong} --out /media/carry/none.json`),
      (error) => error instanceof Error && error.message.includes(former),
    );
  await walk('Drill: a key that is not in use was stolen', { FORMER: former.slice(0, 8).toUpperCase() });
  const { keys } = await world.operator.get('/v1/authorities/keys', hubKeysView);
  const results = keys.filter(({ purpose }) => purpose === 'attestation-result');
  assert.deepEqual(
    results.map(({ id, status, compromised }) => [id === next, status, compromised]),
    [
      [false, 'previous', true],
      [false, 'previous', true],
      [true, 'active', false],
    ],
  );
});

// Keys end at whole seconds: what was signed in the second of the theft counts no more.
async function nextSecond(): Promise<void> {
  const second = () => Math.floor(world.clock.now() / 1_000);
  const released = second();
  while (second() === released) await world.operator.get('/v1/authorities/keys', hubKeysView);
}

/** The receipt of a release, under a checkpoint that another device cosigned: the receiver is no witness of its own. */
async function receiptOf(version: string): Promise<Uint8Array> {
  const name = `other-${version.replaceAll('.', '-')}`;
  await using other = await TestDevice.withoutTpm(name, join(world.folder, name));
  await other.enroll(world);
  await using link = await other.connect(world.hub);
  await world.publishModel('surface', version, 'weights');
  const { lease } = await fleet.device.release(fleet.link, 'surface', version);
  const witness = new TestWitness(world.hub.logKey, other.witness);
  // A checkpoint from before the release may still be open.
  for (;;) {
    await witness.checkIn(link, Math.floor(world.clock.now() / 1_000));
    const { receipt } = await world.operator.get(`/v1/receipts/${lease.id}`, receiptResponse);
    const bytes = Buffer.from(receipt, 'base64url');
    if (verifyReceipt(bytes, await world.trust()).kind === 'verified') return bytes;
  }
}
