import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { attributesSchema } from '@edgekeep/wire/api/attributes';
import { deviceAttributes, type SystemFiles } from './attributes.ts';

let folder = '';
let files: SystemFiles;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-attributes-'));
  const at = (name: string) => join(folder, name);
  files = { osRelease: at('os-release'), rebootRequired: at('reboot-required'), packageDatabase: at('status') };
});
after(() => rm(folder, { recursive: true }));

test('a machine that says nothing of itself is described by what the agent knows', async () => {
  const { os, agent, rootOfTrust, updates } = await deviceAttributes('tpm', files);
  assert.deepEqual(os, { kernel: release(), architecture: process.arch });
  assert.deepEqual(agent, { version: '0.1.0', node: process.versions.node });
  assert.deepEqual([rootOfTrust, updates], [{ kind: 'tpm' }, { rebootRequired: false }]);
});

test('system, version and waiting updates are read from where Linux systems keep them', async () => {
  await writeFile(files.osRelease, 'PRETTY_NAME="Debian GNU/Linux 12"\nVERSION_ID="12.7"\nID=debian\nBROKEN="$(x)"\n');
  await writeFile(files.rebootRequired, '');
  await writeFile(files.packageDatabase, '');
  const { os, updates } = await deviceAttributes('tpm', files);
  assert.deepEqual(os, { name: 'debian', version: '12.7', kernel: release(), architecture: process.arch });
  assert.deepEqual(Object.keys(Object(updates)), ['rebootRequired', 'packagesChangedAt']);
});

test('the hub takes the report for any content of the system files', async () => {
  await writeFile(files.osRelease, `ID="${'x'.repeat(30_000)}"\nVERSION_ID='${'9'.repeat(300)}'\n\u0000__proto__=1\n`);
  assert.ok(attributesSchema.safeParse(await deviceAttributes('software', files)).success);
  await writeFile(files.osRelease, `VERSION_ID='${'9'.repeat(300)}'\n`);
  const { os } = await deviceAttributes('software', files);
  assert.equal(Object(os)['version'].length, 128);
});
