import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { RootOfTrustIdentity } from '@edgekeep/hardware/root-of-trust';
import { assertEnrolledTpm, keepEnrolledTpm } from './enrolled-tpm.ts';

const tpm = (key: number, kind: 'p-256' | 'rsa-2048' = 'rsa-2048') => {
  const endorsementKey = { kind, publicArea: Uint8Array.of(key) };
  const attestationPublic = new Uint8Array(1);
  const identity: RootOfTrustIdentity = {
    tier: 'tpm',
    endorsementKey,
    endorsementChain: [],
    attestationPublic,
    manufacturer: 'INTC',
    firmwareVersion: 1n,
  };
  return { tier: 'tpm', describe: async () => identity } as const;
};
const files = {
  tier: 'software',
  describe: async (): Promise<RootOfTrustIdentity> => ({
    tier: 'software',
    signingPublic: new Uint8Array(1),
    encryptionPublic: new Uint8Array(1),
  }),
} as const;

async function fileIn(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-tpm-'));
  t.after(() => rm(folder, { recursive: true }));
  return join(folder, 'enrolled-tpm.json');
}

// SECURITY.md: DEV-76
test('an agent works with the TPM with which it enrolled and with no other, and says what to do', async (t) => {
  const file = await fileIn(t);
  await assertEnrolledTpm(file, tpm(1));
  await keepEnrolledTpm(file, tpm(1));
  await assertEnrolledTpm(file, tpm(1));
  const other = { code: 'tpm-differs', message: /enrolled with the TPM of INTC .* put the disk back .* replace-root/ };
  await assert.rejects(assertEnrolledTpm(file, tpm(2)), other);
  await assert.rejects(assertEnrolledTpm(file, files), {
    code: 'tpm-differs',
    message: /here is a root of trust of the tier software/,
  });
  await assert.rejects(assertEnrolledTpm(file, tpm(3, 'p-256')), {
    message: /set rootOfTrust back \(endorsementKey: rsa-2048\)/,
  });
});

test('what was kept once is not replaced, and an emptied record is put back', async (t) => {
  const file = await fileIn(t);
  await keepEnrolledTpm(file, tpm(1));
  const before = await readFile(file, 'utf8');
  await keepEnrolledTpm(file, tpm(2));
  assert.equal(await readFile(file, 'utf8'), before);
  for (const text of ['', '{}']) {
    await writeFile(file, text);
    await assert.rejects(assertEnrolledTpm(file, tpm(2)), { code: 'tpm-differs' });
    assert.equal(await readFile(file, 'utf8'), before);
  }
});

test('nothing is kept of a root of trust that is no TPM', async (t) => {
  const file = await fileIn(t);
  await keepEnrolledTpm(file, files);
  await assert.rejects(readFile(file), { code: 'ENOENT' });
  await assertEnrolledTpm(file, tpm(1));
});
