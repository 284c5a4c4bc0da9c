// `edgekeep enroll kit` that fails: nothing is left of it, on the disk or at the hub.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { enrollmentTokenList } from '@edgekeep/wire/api/enrollment-token';
import { edgekeep } from './main-job/edgekeep.ts';
import { HubWorld } from './support/hub-world.ts';

let world: HubWorld;
before(async () => {
  world = await HubWorld.open();
});
after(() => world?.[Symbol.asyncDispose]());

const tokensMade = async () =>
  (await world.operator.get('/v1/enrollment-tokens?state=any', enrollmentTokenList)).tokens.length;

/** An operator file with these scopes alone. */
async function operatorWith(name: string, scopes: readonly string[]): Promise<string> {
  const own: object = JSON.parse(await readFile(world.operatorFile, 'utf8'));
  const file = join(world.folder, name);
  await writeFile(file, JSON.stringify({ ...own, token: await world.apiToken(scopes) }), { mode: 0o600 });
  return file;
}

const kit = (out: string, operator: string) =>
  edgekeep('enroll', 'kit', 'press-1', '--out', out, '--software', '--operator', operator);

test('a kit that the hub refuses in the middle leaves no folder', async () => {
  const out = join(world.folder, 'refused');
  const { code, stderr } = await kit(out, await operatorWith('reader.json', ['devices:read']));
  assert.equal(code, 1, stderr);
  assert.match(stderr, /scope-missing/);
  assert.equal(existsSync(out), false);
  // The same words work once the right file is named.
  assert.equal((await kit(out, world.operatorFile)).code, 0);
  assert.ok((await readdir(out)).includes('enrollment-token'));
});

test('a kit has the HTTP proxy that was named, and none with a password', async () => {
  const proxied = (name: string, url: string) =>
    edgekeep(
      'enroll',
      'kit',
      'press-2',
      '--out',
      join(world.folder, name),
      '--software',
      '--proxy',
      url,
      '--operator',
      world.operatorFile,
    );
  assert.equal((await proxied('proxied', 'http://Proxy.Example:3128')).code, 0);
  const settings: unknown = JSON.parse(await readFile(join(world.folder, 'proxied', 'agent.json'), 'utf8'));
  assert.partialDeepStrictEqual(settings, { proxy: { url: 'http://proxy.example:3128' } });
  for (const url of ['http://user:s3cret@proxy.example:3128', 'http://proxy.example', 'socks5://proxy.example:1080']) {
    const { code, stderr } = await proxied('refused-proxy', url);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /--proxy: /);
    assert.doesNotMatch(stderr, /s3cret/);
  }
});

test('a folder that is there already is left as it is, and no token is made', async () => {
  const out = join(world.folder, 'there');
  await mkdir(out);
  await writeFile(join(out, 'mine'), 'mine');
  const before = await tokensMade();
  const { code, stderr } = await kit(out, world.operatorFile);
  assert.equal(code, 3, stderr);
  assert.match(stderr, /EEXIST/);
  assert.deepEqual(await readdir(out), ['mine']);
  assert.equal(await tokensMade(), before);
});

test('a kit says where the firmware log and the passwords of the TPM are on the device, and refuses them where there is none', async () => {
  const out = join(world.folder, 'owned');
  const words = ['--out', out, '--operator', world.operatorFile];
  const files = ['--endorsement-password-file', 'tpm-endorsement', '--owner-password-file', '/etc/edgekeep/tpm-owner'];
  const log = ['--firmware-log', '/run/edgekeep/firmware.log'];
  const made = await edgekeep('enroll', 'kit', 'press-7', ...words, ...files, ...log);
  assert.equal(made.code, 0, made.stderr);
  const settings: Readonly<Record<string, unknown>> = JSON.parse(await readFile(join(out, 'agent.json'), 'utf8'));
  assert.deepEqual(settings['rootOfTrust'], {
    kind: 'tpm',
    address: 'device:/dev/tpmrm0',
    endorsementPasswordFile: 'tpm-endorsement',
    ownerPasswordFile: '/etc/edgekeep/tpm-owner',
  });
  assert.deepEqual(settings['measuredStart'], { firmwareLogFile: '/run/edgekeep/firmware.log' });
  const soft = join(world.folder, 'soft');
  const refused = await edgekeep('enroll', 'kit', 'press-3', '--out', soft, '--software', ...files);
  assert.equal(refused.code, 2, refused.stderr);
});

test('a kit for a model that the hub does not have is refused with the models that there are, unless --force says so', async () => {
  const before = await tokensMade();
  const words = (id: string) => [
    'enroll',
    'kit',
    id,
    '--out',
    join(world.folder, id),
    '--software',
    '--operator',
    world.operatorFile,
  ];
  const { code, stderr } = await edgekeep(...words('press-6'), '--model', 'inspekt');
  assert.equal(code, 3, stderr);
  assert.match(stderr, /^edgekeep: not-found: the hub has no model inspekt.*: --force makes it anyway\n$/);
  assert.deepEqual([existsSync(join(world.folder, 'press-6')), await tokensMade()], [false, before]);
  const forced = await edgekeep(...words('press-6'), '--model', 'inspekt', '--force');
  assert.equal(forced.code, 0, forced.stderr);
  assert.match(forced.stderr, /^edgekeep: warning: the hub has no model inspekt/);
});

test('a second kit or package for one device is refused while the token of the first is usable, and names it', async () => {
  const at = (name: string) => join(world.folder, name);
  const words = (verb: string, out: string) => [
    'enroll',
    verb,
    'press-3',
    '--out',
    at(out),
    '--software',
    '--operator',
    world.operatorFile,
  ];
  assert.equal((await edgekeep(...words('kit', 'first'))).code, 0);
  for (const [verb, out] of [
    ['kit', 'second'],
    ['package', 'second.sh'],
  ] as const) {
    const { code, stderr } = await edgekeep(...words(verb, out));
    assert.equal(code, 1, stderr);
    assert.match(stderr, /^edgekeep: conflict: press-3 has a kit already: its token [0-9a-f]+ is usable until /);
    assert.equal(existsSync(at(out)), false);
  }
  const id = /enroll token revoke ([0-9a-f]+)/.exec((await edgekeep(...words('kit', 'second'))).stderr)?.[1] ?? '';
  assert.equal((await edgekeep('enroll', 'token', 'revoke', id, '--operator', world.operatorFile)).code, 0);
  assert.equal((await edgekeep(...words('kit', 'second'))).code, 0);
});

test('a token that may not read models and devices makes the kit, with a warning', async () => {
  const out = join(world.folder, 'narrow');
  const operator = await operatorWith('narrow.json', ['enrollment:write', 'devices:read']);
  const words = ['enroll', 'kit', 'press-4', '--out', out, '--software', '--model', 'inspect', '--operator', operator];
  const { code, stderr } = await edgekeep(...words);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /warning: this API token may not read models/);
});
