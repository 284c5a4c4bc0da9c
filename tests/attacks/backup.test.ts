// A backup that an attacker made or changed is not taken for one of the hub: the key that signs backups is certified by the root.
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { keyIdOf } from '@edgekeep/core/authority/key-list';
import { sha256Hex } from '@edgekeep/core/digest';
import { parseCertificate } from '@edgekeep/core/identity/certificate';
import { parsePem } from '@edgekeep/core/identity/pem';
import { signerFromKey } from '@edgekeep/core/signer';
import { backUpHub } from '@edgekeep/hub/secrets/backup';
import { backupSigner } from '@edgekeep/hub/secrets/backup-key';
import type { BackupSigner } from '@edgekeep/hub/secrets/backup-signature';
import { plainKeys } from '@edgekeep/hub/secrets/plain-keys';
import { restoreHub } from '@edgekeep/hub/secrets/restore';
import { hubKeysView, keyRequestResponse } from '@edgekeep/wire/api/authority';
import { edgekeep } from '../main-job/edgekeep.ts';
import { HubWorld } from '../support/hub-world.ts';
import { OfflineRoot } from '../support/offline-root.ts';

let world: HubWorld;
let root: OfflineRoot;
let signer: BackupSigner;
let file: string;
const at = (name: string) => join(world.folder, name);

before(async () => {
  world = await HubWorld.open();
  root = await OfflineRoot.open(at('root'), world.clock.now);
  // The first key list names it: no ceremony is needed.
  const view = await world.operator.get('/v1/authorities/keys', hubKeysView);
  assert.equal(view.list?.number, 1);
  assert.deepEqual(
    view.keys.filter(({ purpose }) => purpose === 'backup').map(({ status }) => status),
    ['active'],
  );
  signer = (await backupSigner(world.hubFolder, plainKeys(join(world.hubFolder, 'keys')))) ?? assert.fail('no key');
  file = await backUp('signed', signer);
});
after(() => world?.[Symbol.asyncDispose]());

const send = <T>(path: string, body: object, schema: Parameters<typeof world.operator.send<T>>[3]) =>
  world.operator.send('POST', `/v1/authorities/keys/${path}`, body, schema);

async function nextList(body: object): Promise<{ readonly keyList: string }> {
  return { keyList: await root.signKeys((await send('request', body, keyRequestResponse)).request) };
}

async function backUp(name: string, by: BackupSigner | undefined): Promise<string> {
  await backUpHub({ folder: world.hubFolder, file: at(name), plain: true, blobs: false, signer: by });
  return at(name);
}

const trust = async () => ({
  roots: parsePem(await readFile(at('root/root.pem'), 'utf8'), 'CERTIFICATE').map(parseCertificate),
});
const refused = (says: RegExp) => ({ code: 'backup-refused', message: says });
/** The same backup, unsigned, with these settings under a digest that fits. */
async function withSettings(from: string, text: string): Promise<string> {
  const whole = (await readFile(from)).toString('latin1');
  const last = whole.lastIndexOf('{"path":"hub.json"');
  const parts = Number(/\{"end":(\d+)\}/.exec(whole.slice(last))?.[1]);
  const head = whole.slice(0, last).replace('edgekeep-backup/v2', 'edgekeep-backup/v1');
  const line = `{"path":"hub.json","sha256":"${sha256Hex(Buffer.from(text))}","size":${Buffer.byteLength(text)}}\n`;
  const rest = Buffer.from(`${line}${text}{"end":${parts}}\n`);
  await writeFile(at('named'), Buffer.concat([Buffer.from(head, 'latin1'), rest]));
  return at('named');
}

let targets = 0;
const target = () => at(`restored-${(targets += 1)}`);

// SECURITY.md: HUB-84
test('a backup that the hub signed restores under its root, and says whose it is', async () => {
  const origins: unknown[] = [];
  await restoreHub(file, target(), await trust(), async (_, origin) => void origins.push(origin?.listNumber));
  assert.deepEqual(origins, [1]);
});

// SECURITY.md: HUB-183
test('a backup whose settings name a database is refused: the store is in the backup', async () => {
  const kept: object = JSON.parse(await readFile(join(world.hubFolder, 'hub.json'), 'utf8'));
  const text = JSON.stringify({ ...kept, store: { url: 'postgres://hub@db.evil.example/hub' } });
  const forged = await withSettings(file, text);
  const says = refused(/names a store, and the store is in the backup/);
  await assert.rejects(restoreHub(forged, target(), 'unsigned'), says);
});

// SECURITY.md: HUB-84
test('a backup with another store, under a digest that fits, is refused and leaves nothing', async () => {
  // The last part, and the line with its digest: the settings, in which an attacker names another log.
  const text = (await readFile(file)).toString('latin1');
  const settings = text.lastIndexOf('{"path":"hub.json"');
  const changed = text.slice(0, settings) + text.slice(settings).replace('edgekeep.test/log', 'edgekeep.evil/log');
  const start = changed.indexOf('\n', settings) + 1;
  const size = Number(/"size":(\d+)\}\n$/.exec(changed.slice(0, start))?.[1]);
  const digest = sha256Hex(Buffer.from(changed.slice(start, start + size), 'latin1'));
  const line = changed.slice(settings, start);
  const forged = changed.replace(line, line.replace(/"sha256":"[0-9a-f]{64}"/, `"sha256":"${digest}"`));
  await writeFile(at('forged'), Buffer.from(forged, 'latin1'));
  const to = target();
  await assert.rejects(restoreHub(at('forged'), to, await trust()), refused(/its signature is wrong/));
  await assert.rejects(readdir(to), { code: 'ENOENT' });
  // Without the signature it is whole, and that is all.
  await restoreHub(at('forged'), to, 'unsigned');
});

// SECURITY.md: HUB-84
test('a backup by a key of the attacker, under another root or without a signature is refused', async () => {
  const own = signerFromKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
  const byOther = await backUp('by-other', { ...signer, signer: own });
  await assert.rejects(restoreHub(byOther, target(), await trust()), refused(/is not one for backups/));
  const unsigned = await backUp('unsigned', undefined);
  await assert.rejects(restoreHub(unsigned, target(), await trust()), refused(/not signed/));
  const stranger = await root.successor(at('stranger'));
  const others = { roots: [stranger.certificate] };
  await assert.rejects(restoreHub(file, target(), others), refused(/no root .* is trusted/));
});

// SECURITY.md: HUB-84
test('a backup by a key that was stolen since is refused where a later key list is given', async () => {
  const { keyList } = await nextList({ purposes: ['backup'], stolenAt: world.clock.now() });
  const newest = Buffer.from(keyList);
  await assert.rejects(restoreHub(file, target(), { ...(await trust()), newest }), refused(/its key was stolen/));
  const view = await send('list', { keyList }, hubKeysView);
  const present = view.keys.find(({ purpose, status }) => purpose === 'backup' && status === 'active');
  assert.notEqual(present?.id, keyIdOf(signer.signer));
  const next = await backupSigner(world.hubFolder, plainKeys(join(world.hubFolder, 'keys')));
  await restoreHub(await backUp('next', next), target(), { ...(await trust()), newest });
});

test('the command line asks for the root, or for the word that nobody signed', async () => {
  const rootFile = at('root/root.pem');
  const words = (...more: readonly string[]) => edgekeep('hub', 'restore', file, '--data', target(), ...more);
  const without = await words();
  assert.deepEqual([without.code, /--root FILE/.test(without.stderr)], [3, true], without.stderr);
  const both = await words('--unsigned', '--root', rootFile);
  assert.equal(both.code, 3);
  const good = await words('--root', rootFile);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stderr, /^signed by the hub edgekeep\.test\/log\+/m);
  const made = await edgekeep('hub', 'backup', '--data', world.hubFolder, '--out', at('by-verb'), '--plain');
  assert.match(made.stdout, /^signed backup of \d+ parts/);
  await restoreHub(at('by-verb'), target(), await trust());
});
