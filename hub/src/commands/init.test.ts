import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { HubError } from '../common/error.ts';
import type { NewUnlocker } from '../secrets/unlock.ts';
import { hubSettingsSchema } from '../settings.ts';
import { dataFolderOf } from './data-folder.ts';
import { initHub } from './init.ts';

const settings = hubSettingsSchema.parse({});
const nowMs = Date.UTC(2026, 10, 30);
let folder: string;
const at = (...names: readonly string[]) => join(folder, ...names);
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edgekeep-init-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const order = () => ({ rootFolder: at('usb', 'root'), shareFolder: at('shares'), settings, nowMs });
const sharesThat = (keep: () => Promise<void>): readonly NewUnlocker[] => [
  { kind: 'shares', needed: 2, made: 3, keep },
];
const all = () => readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();

test('an init that fails in the middle leaves no file and no folder, neither its own nor those of the root', async () => {
  const unlockers = sharesThat(() => Promise.reject(new HubError('folder-unusable', 'the disk of the shares is full')));
  await assert.rejects(initHub(at('data', 'hub'), { ...order(), unlockers }), { code: 'folder-unusable' });
  assert.deepEqual(all(), []);
});

test('what others put into the folders stays where an init fails', async () => {
  mkdirSync(at('data', 'hub', 'vendor-roots'), { recursive: true });
  mkdirSync(at('usb'));
  writeFileSync(at('data', 'hub', 'vendor-roots', 'maker.pem'), 'a maker');
  writeFileSync(at('usb', 'notes.txt'), 'notes');
  const before = all();
  const unlockers = sharesThat(() => Promise.reject(new HubError('folder-unusable', 'full')));
  await assert.rejects(initHub(at('data', 'hub'), { ...order(), unlockers }), { code: 'folder-unusable' });
  assert.deepEqual(all(), before);
});

/** In a process that is killed when it writes its shares: keys of the root are on the disk, the hub is not. */
function initAndDie(): void {
  const init = JSON.stringify(join(import.meta.dirname, 'init.ts'));
  const code = `
    const { initHub } = await import(${init});
    const keep = async () => process.kill(process.pid, 'SIGKILL');
    const unlockers = [{ kind: 'shares', needed: 2, made: 3, keep }];
    await initHub(${JSON.stringify(at('data', 'hub'))}, { ...${JSON.stringify(order())}, unlockers });`;
  const { signal } = spawnSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  assert.equal(signal, 'SIGKILL');
}

test('after an init that was killed the next one begins anew, also with another place for the root, and nothing of the first stays', async () => {
  initAndDie();
  assert.ok(existsSync(at('usb', 'root', 'root-key.pem')));
  const first = readFileSync(at('usb', 'root', 'root.pem'), 'utf8');
  assert.throws(() => dataFolderOf('run', at('data', 'hub')), { code: 'settings-invalid', message: /did not finish/ });
  const made = await initHub(at('data', 'hub'), { rootFolder: at('safe'), settings, nowMs });
  assert.equal(made.rootKeyFile, at('safe', 'root-key.pem'));
  assert.notEqual(readFileSync(at('safe', 'root.pem'), 'utf8'), first);
  assert.ok(!existsSync(at('usb')) && !existsSync(at('shares')), all().join(' '));
  assert.equal(dataFolderOf('run', at('data', 'hub')), at('data', 'hub'));
  assert.deepEqual(
    all().filter((name) => name.includes('unfinished')),
    [],
  );
});

test('the next init removes no root that somebody made in the same place meanwhile', async () => {
  initAndDie();
  rmSync(at('usb', 'root'), { recursive: true });
  await initHub(at('data', 'other'), { rootFolder: at('usb', 'root'), settings, nowMs });
  const root = readFileSync(at('usb', 'root', 'root.pem'), 'utf8');
  await assert.rejects(initHub(at('data', 'hub'), { ...order(), unlockers: [] }), { code: 'conflict' });
  assert.equal(readFileSync(at('usb', 'root', 'root.pem'), 'utf8'), root);
  await initHub(at('data', 'hub'), { rootFolder: at('usb', 'second'), settings, nowMs });
});

test('an existing root, request, key or hub is never overwritten, and nothing is made then', async () => {
  await initHub(at('hub'), { rootFolder: at('root'), settings, nowMs });
  writeFileSync(at('issuing.csr'), 'a request of another hub');
  const before = all();
  await assert.rejects(initHub(at('hub'), { rootFolder: at('root-2'), settings, nowMs }), { code: 'conflict' });
  await assert.rejects(initHub(at('hub-2'), { rootFolder: at('root'), settings, nowMs }), { code: 'conflict' });
  await assert.rejects(initHub(at('hub-3'), { requestFile: at('issuing.csr'), settings, nowMs }), { code: 'conflict' });
  mkdirSync(at('hub-4', 'keys'), { recursive: true });
  await assert.rejects(initHub(at('hub-4'), { rootFolder: at('root-4'), settings, nowMs }), { code: 'conflict' });
  rmSync(at('hub-4'), { recursive: true });
  assert.deepEqual(all(), before);
});

test('the request for an offline root is written where it is asked for, and its folder is made', async () => {
  const made = await initHub(at('hub'), { requestFile: at('carry', 'new', 'issuing.csr'), settings, nowMs });
  assert.equal(made.rootKeyFile, undefined);
  assert.match(readFileSync(at('carry', 'new', 'issuing.csr'), 'utf8'), /BEGIN CERTIFICATE REQUEST/);
});
