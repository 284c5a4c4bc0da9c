import { deepEqual, equal, ok, rejects } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { signModel } from '@edgekeep/core/model/signature/sign';
import { signerFromKey } from '@edgekeep/core/signer';
import { hashModelFiles, listModelFiles } from './model-files.ts';
import { type ModelVerification, signModelFiles, verifyModelFiles } from './model-signing.ts';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signer = signerFromKey(privateKey);

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'edgekeep-model-'));
  mkdirSync(join(root, 'weights'));
  mkdirSync(join(root, '.git'));
  writeFileSync(join(root, 'config.json'), '{}');
  writeFileSync(join(root, 'weights', 'a.bin'), Buffer.alloc(3_000_000, 7));
  writeFileSync(join(root, 'weights', 'empty.bin'), '');
  writeFileSync(join(root, '.git', 'HEAD'), 'x');
});
afterEach(() => rmSync(root, { recursive: true }));

async function reasonsOf(
  bundleBytes: Uint8Array,
  options: Partial<ModelVerification> = {},
): Promise<readonly string[]> {
  const trust = { kind: 'keys', keys: [publicKey] } as const;
  const verification = { bundleBytes, trust, ignorePaths: [], ignoreUnsignedFiles: false, ...options };
  const verdict = await verifyModelFiles(root, verification);
  return verdict.kind === 'refused' ? verdict.reasons.map(({ code, path }) => `${code} ${path}`) : [];
}

for (const shardSize of [undefined, 1_000_000]) {
  const how = shardSize === undefined ? 'whole files' : 'shards';
  test(`a folder signed by ${how} verifies until a byte, a file or a length changes`, async () => {
    const bundle = await signModelFiles(root, { signer, ignorePaths: [], ...(shardSize && { shardSize }) });
    deepEqual(await reasonsOf(bundle), []);

    const changed = Buffer.alloc(3_000_000, 7);
    changed[2_500_000] = 8;
    writeFileSync(join(root, 'weights', 'a.bin'), changed);
    deepEqual(await reasonsOf(bundle), ['digest-mismatch weights/a.bin']);
    truncateSync(join(root, 'weights', 'a.bin'), 2_000_000);
    deepEqual(await reasonsOf(bundle), ['digest-mismatch weights/a.bin']);
    rmSync(join(root, 'weights', 'a.bin'));
    deepEqual(await reasonsOf(bundle), ['missing-file weights/a.bin']);
  });
}

test('an added file is refused, unless the reader ignores it by name or ignores all of them', async () => {
  const bundle = await signModelFiles(root, { signer, ignorePaths: [] });
  mkdirSync(join(root, 'notes'));
  writeFileSync(join(root, 'notes', 'x'), 'x');
  deepEqual(await reasonsOf(bundle), ['unsigned-file notes/x']);
  deepEqual(await reasonsOf(bundle, { ignorePaths: ['notes'] }), []);
  deepEqual(await reasonsOf(bundle, { ignoreUnsignedFiles: true }), []);
});

test('a symbolic link cannot be signed, and takes the place of no signed file', async () => {
  const bundle = await signModelFiles(root, { signer, ignorePaths: [] });
  rmSync(join(root, 'config.json'));
  symlinkSync('weights/a.bin', join(root, 'config.json'));
  deepEqual(await reasonsOf(bundle), ['symbolic-link config.json']);
  await rejects(signModelFiles(root, { signer, ignorePaths: [] }), { code: 'model-path-invalid' });
  await signModelFiles(root, { signer, ignorePaths: ['config.json'] });
});

test('links are followed where the signer followed them, and a loop of links ends', async () => {
  symlinkSync('weights', join(root, 'linked'));
  symlinkSync('..', join(root, 'weights', 'loop'));
  const listing = await listModelFiles(root, { followLinks: true, ignorePaths: ['.git'] });
  const files = listing.entries.filter(({ kind }) => kind === 'file').map(({ path }) => path);
  deepEqual(files, ['config.json', 'linked/a.bin', 'linked/empty.bin', 'weights/a.bin', 'weights/empty.bin']);

  const jobs = files.map((path) => ({ path, range: undefined, hash: 'sha256' }) as const);
  const digests = await hashModelFiles(root, listing, jobs, true);
  const resources = jobs.map(({ path, range }, index) => ({ path, range, digest: digests[index] ?? '' }));
  const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: true, ignorePaths: [] } as const;
  const bundle = await signModel({ name: 'model', serialization, resources }, signer);
  deepEqual(await reasonsOf(bundle), ['unsigned-file linked/loop', 'unsigned-file weights/loop']);
  rmSync(join(root, 'weights', 'loop'));
  deepEqual(await reasonsOf(bundle), []);
});

test('a pipe in the place of a signed file is refused and never waited for', async () => {
  const bundle = await signModelFiles(root, { signer, ignorePaths: [] });
  rmSync(join(root, 'config.json'));
  execFileSync('mkfifo', [join(root, 'config.json')]);
  deepEqual(await reasonsOf(bundle), ['special-file config.json']);
  const listing = await listModelFiles(root, { followLinks: false, ignorePaths: [] });
  const job = { path: 'config.json', range: undefined, hash: 'sha256' } as const;
  deepEqual(await hashModelFiles(root, listing, [job], false), [undefined]);
});

test('a file whose name is not UTF-8 is neither signed nor overlooked', async () => {
  const bundle = await signModelFiles(root, { signer, ignorePaths: [] });
  writeFileSync(Buffer.concat([Buffer.from(`${root}/`), Buffer.from([0xff, 0x62])]), 'x');
  deepEqual(await reasonsOf(bundle), ['unsigned-file \ufffdb']);
  await rejects(signModelFiles(root, { signer, ignorePaths: [] }), { code: 'model-path-invalid' });
});

test('one file is a model under its own name, wherever it lies', async () => {
  const file = join(root, 'weights', 'a.bin');
  const bundle = await signModelFiles(file, { signer, ignorePaths: [] });
  const trust = { kind: 'keys', keys: [publicKey] } as const;
  const verification = { bundleBytes: bundle, trust, ignorePaths: [], ignoreUnsignedFiles: false };
  const verdict = await verifyModelFiles(file, verification);
  ok(verdict.kind === 'verified');
  deepEqual(
    verdict.statement.resources.map(({ path }) => path),
    ['a.bin'],
  );
  writeFileSync(file, 'other');
  equal((await verifyModelFiles(file, verification)).kind, 'refused');
});

test('what the signer ignored is ignored, and a signed file in an ignored folder is not', async () => {
  const bundle = await signModelFiles(root, { signer, ignorePaths: ['weights'] });
  rmSync(join(root, 'weights'), { recursive: true });
  mkdirSync(join(root, 'weights'));
  writeFileSync(join(root, 'weights', 'anything'), 'x');
  deepEqual(await reasonsOf(bundle), []);
  writeFileSync(join(root, 'config.json'), '[]');
  deepEqual(await reasonsOf(bundle, { ignorePaths: ['config.json'] }), ['digest-mismatch config.json']);
});

test('a folder that is not there is a system error, not a verdict', async () => {
  await rejects(listModelFiles(join(root, 'nowhere'), { followLinks: false, ignorePaths: [] }), { code: 'ENOENT' });
});
