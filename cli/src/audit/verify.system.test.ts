import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHash, generateKeyPairSync, sign } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { testLogSigner, testReceiptParts, testTrust, testWitnesses } from '@edgekeep/core/access/testing-receipt';
import { encodeReceipt } from '@edgekeep/core/access/receipt';
import { encodeTrust } from '@edgekeep/core/access/testing-trust';
import { cosign } from '@edgekeep/core/audit/cosignature';
import { encodeNote, encodeVerifierKey, parseNote, verifierKey } from '@edgekeep/core/audit/note';
import { testLogFiles } from '@edgekeep/core/audit/testing-log';

const main = join(import.meta.dirname, '../main.ts');
const logKey = encodeVerifierKey(verifierKey(testLogSigner.name, testLogSigner.signer.publicKey, 'ed25519'));
const witnessKeys = testWitnesses.map(({ name, signer }) =>
  encodeVerifierKey(verifierKey(name, signer.publicKey, 'cosignature-v1')),
);
let scratch = '';
let files = new Map<string, Uint8Array>();

before(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'edgekeep-audit-'));
  files = await testLogFiles(
    Array.from({ length: 700 }, (_, at) => Buffer.from(`entry ${at}`)),
    testLogSigner,
  );
  const note = parseNote(files.get('checkpoint') ?? assert.fail());
  const [witness] = testWitnesses;
  const cosignatures = await cosign(note.text, 1_800_000_000, witness ?? assert.fail());
  files.set('checkpoint', encodeNote({ ...note, signatures: [...note.signatures, ...cosignatures] }));
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(scratch, 'log', path)), { recursive: true });
    await writeFile(join(scratch, 'log', path), bytes);
  }
});
after(() => rm(scratch, { recursive: true, force: true }));

test('audit verify says yes to a folder, no to a wrong key and to a missing quorum', async () => {
  const folder = join(scratch, 'log');
  const [first = '', second = ''] = witnessKeys;
  const good = await edgekeep('audit', 'verify', folder, '--key', logKey, '--witness', first, '--json');
  assert.equal(good.code, 0, good.stderr);
  const value: unknown = JSON.parse(good.stdout);
  assert.ok(typeof value === 'object' && value !== null && 'size' in value);
  assert.equal(value.size, 700);

  assert.equal((await edgekeep('audit', 'verify', folder, '--key', first)).code, 1);
  assert.equal(
    (await edgekeep('audit', 'verify', folder, '--key', logKey, '--witness', first, '--witness', second)).code,
    1,
  );
  const oneOfTwo = ['--witness', first, '--witness', second, '--quorum', '1'];
  assert.equal((await edgekeep('audit', 'verify', folder, '--key', logKey, ...oneOfTwo)).code, 0);
  assert.equal((await edgekeep('audit', 'verify', folder, '--key', 'nonsense')).code, 3);
  assert.equal((await edgekeep('audit', 'verify', folder)).code, 2);
});

test('audit verify takes a log that its witnesses alone vouch for, and one that signs with ECDSA', async () => {
  const folder = join(scratch, 'log');
  const [witness = ''] = witnessKeys;
  const { name } = testLogSigner;
  const verify = (...words: readonly string[]) => edgekeep('audit', 'verify', folder, ...words);
  const alone = await verify('--origin', name, '--witness', witness);
  assert.equal(alone.code, 0, alone.stderr);
  assert.match(alone.stdout, /^verified: .* 700 entries, .*\n.*\n {2}cosigned by /);
  assert.equal((await verify('--origin', 'another', '--witness', witness)).code, 1);
  assert.equal((await verify('--origin', name, '--witness', witness, '--quorum', '0')).code, 2);
  assert.equal((await verify('--origin', name, '--witness', witnessKeys[1] ?? '')).code, 1);

  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const spki = publicKey.export({ format: 'der', type: 'spki' });
  const keyId = createHash('sha256').update(spki).digest('hex').slice(0, 8);
  const note = parseNote(files.get('checkpoint') ?? assert.fail());
  const line = { name, keyId, signature: sign('sha256', Buffer.from(note.text), privateKey) };
  await writeFile(join(folder, 'checkpoint'), encodeNote({ ...note, signatures: [...note.signatures, line] }));
  const ecdsa = `${name}+${keyId}+${Buffer.concat([Buffer.of(2), spki]).toString('base64')}`;
  assert.equal((await verify('--key', ecdsa)).code, 0);
  assert.equal((await verify('--key', logKey)).code, 0);
  await writeFile(join(folder, 'checkpoint'), files.get('checkpoint') ?? assert.fail());
  assert.equal((await verify('--key', ecdsa)).code, 1);
});

test('audit verify reads a log from a web server and says when there is none', async () => {
  const server = createServer((request, response) => {
    const bytes = files.get(request.url?.slice('/log/'.length) ?? '');
    response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  // Also closed below: it must be gone before the last check.
  using _ = {
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const url = `http://127.0.0.1:${port}/log`;
  assert.equal((await edgekeep('audit', 'verify', url, '--key', logKey)).code, 0);
  files.delete('tile/0/001');
  const missing = await edgekeep('audit', 'verify', url, '--key', logKey);
  assert.equal(missing.code, 1);
  assert.match(missing.stdout, /tile\/0\/001 is missing/);
  await new Promise((resolve) => {
    server.closeAllConnections();
    server.close(resolve);
  });
  assert.equal((await edgekeep('audit', 'verify', url, '--key', logKey)).code, 4);
});

test('receipt verify says yes with a trust file or with keys, and no to a changed receipt', async () => {
  const receipt = join(scratch, 'receipt.json');
  const trust = join(scratch, 'trust.json');
  const bytes = encodeReceipt(await testReceiptParts());
  await writeFile(receipt, bytes);
  await writeFile(trust, encodeTrust(testTrust(2)));
  const good = await edgekeep('receipt', 'verify', receipt, '--trust', trust);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /press-7, tier tpm/);

  const keys = testTrust();
  const pems = { attestation: keys.attestationKeys[0], publisher: keys.publisherKeys[0] };
  for (const [name, key] of Object.entries(pems)) {
    await writeFile(join(scratch, `${name}.pem`), key?.publicKey.export({ type: 'spki', format: 'pem' }) ?? '');
  }
  const flags = ['--log-key', logKey, '--attestation-key', join(scratch, 'attestation.pem')];
  const byKeys = await edgekeep(
    'receipt',
    'verify',
    receipt,
    ...flags,
    '--publisher-key',
    join(scratch, 'publisher.pem'),
  );
  assert.equal(byKeys.code, 0, byKeys.stderr);
  const wrong = await edgekeep(
    'receipt',
    'verify',
    receipt,
    ...flags,
    '--publisher-key',
    join(scratch, 'attestation.pem'),
  );
  assert.equal(wrong.code, 1);
  assert.match(wrong.stdout, /model:/);
  assert.equal((await edgekeep('receipt', 'verify', receipt)).code, 2);

  await writeFile(receipt, bytes.subarray(1));
  assert.equal((await edgekeep('receipt', 'verify', receipt, '--trust', trust)).code, 3);
});

function edgekeep(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
      resolve({ code, stdout, stderr });
    });
  });
}
