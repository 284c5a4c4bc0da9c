// What a device proves to a local verifier: a quote over their nonce, and the receipts of its released keys.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { RECEIPT_BYTES_MAX } from '@edgekeep/core/access/receipt';
import { findProgram } from '@edgekeep/cli/program';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { z } from 'zod';
import { ending } from '../support/child.ts';
import { edgekeep, type Ended } from './edgekeep.ts';
import { JobDevice } from './job-device.ts';
import { jobTest, JobWorld } from './job-world.ts';

const name = 'engine';

// Seed C's idea: a shell script on the device asks, and keeps the answer for a verifier elsewhere.
const askScript = `
set -eu
ATTESTATION=$(curl -s --fail --unix-socket "$SOCKET" "http://localhost/attest?nonce=$NONCE")
printf '%s' "$ATTESTATION" > "$ANSWER"
exec "$NODE" "$EDGEKEEP" attest verify --attestation "$ANSWER" --nonce "$NONCE" --key "$KEY" --reference "$REFERENCE" --json
`;

async function bash(script: string, environment: Readonly<Record<string, string>>): Promise<Ended> {
  const child = spawn('bash', ['-c', script], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  await using _ = ending(child);
  const code = new Promise<number | null>((resolve, reject) => child.once('error', reject).once('close', resolve));
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { code: await code, stdout, stderr };
}

const verdictSchema = z.looseObject({
  verified: z.boolean(),
  status: z.string(),
  tier: z.string(),
  reasons: z.array(z.looseObject({ code: z.string() })),
});
const verdictOf = ({ stdout }: Ended) => verdictSchema.parse(JSON.parse(stdout));

const tools = await skipWithout('bash', 'curl');

describe('on the device', { skip: jobTest.skip === false ? tools : jobTest.skip }, () => {
  let world: JobWorld;
  let device: JobDevice;
  const nonce = randomBytes(32).toString('hex');
  const answer = () => join(world.folder, 'answer.json');
  const reference = () => join(world.hub.folder, 'reference-values.json');

  before(async () => {
    world = await JobWorld.open();
    await world.publish({ path: await world.source('engine.plan', randomBytes(1_000)), name, version: '1.0.0' });
    device = await JobDevice.prepare(world, 'press-1', [{ name }]);
    await (await device.start()).next('ready');
  });
  after(() => world?.[Symbol.asyncDispose]());

  const ask = () =>
    bash(askScript, {
      SOCKET: device.socket('agent'),
      NONCE: nonce,
      ANSWER: answer(),
      KEY: device.attestationKeyFile,
      REFERENCE: reference(),
      NODE: process.execPath,
      EDGEKEEP: findProgram('@edgekeep/cli/main').file,
    });
  const verify = (file: string, over: string, key = device.attestationKeyFile) =>
    edgekeep(
      ['attest', 'verify', '--attestation', file, '--nonce', over],
      ['--key', key, '--reference', reference(), '--json'],
    );

  test('a script gets a quote over its nonce that verifies with the key and the reference values', async () => {
    const ended = await ask();
    assert.equal(ended.code, 0, ended.stderr);
    const { verified, status, tier } = verdictOf(ended);
    assert.deepEqual({ verified, status, tier }, { verified: true, status: 'affirming', tier: 'tpm' });
  });

  test('the same answer for another nonce is refused', async () => {
    const other = randomBytes(32).toString('hex');
    const ended = await verify(answer(), other);
    assert.equal(ended.code, 1);
    assert.deepEqual(
      verdictOf(ended).reasons.map(({ code }) => code),
      ['qualifying-data-mismatch'],
    );
    // The nonce that the document itself names does not count.
    const document: object = JSON.parse(await readFile(answer(), 'utf8'));
    const changed = join(world.folder, 'changed.json');
    await writeFile(changed, JSON.stringify({ ...document, nonce: other }));
    assert.equal((await verify(changed, other)).code, 1);
  });

  test('an answer under the key of another TPM is refused', async () => {
    const other = await JobDevice.prepare(world, 'press-2');
    const ended = await verify(answer(), nonce, other.attestationKeyFile);
    assert.equal(ended.code, 1);
    assert.deepEqual(
      verdictOf(ended).reasons.map(({ code }) => code),
      ['signature-invalid'],
    );
  });

  test('an answer that is cut short or whose log is not what was booted does not verify', async () => {
    const bytes = await readFile(answer(), 'utf8');
    const changed = join(world.folder, 'changed.json');
    await writeFile(changed, bytes.slice(0, -10));
    assert.equal((await verify(changed, nonce)).code, 3);
    const document = z.looseObject({ evidence: z.looseObject({ eventLog: z.string() }) }).parse(JSON.parse(bytes));
    const log = Buffer.from(document.evidence.eventLog, 'base64url');
    const at = log.indexOf('stage application') - 10;
    log[at] = (log[at] ?? 0) ^ 1;
    document.evidence.eventLog = log.toString('base64url');
    await writeFile(changed, JSON.stringify(document));
    const ended = await verify(changed, nonce);
    assert.equal(ended.code, 1);
    assert.deepEqual(
      verdictOf(ended).reasons.map(({ code }) => code),
      ['pcr-digest-mismatch'],
    );
  });

  test('the receipt fetched on the device verifies offline with the trust file, and is at most 16 KiB without cosignatures', async () => {
    const receipt = join(world.folder, 'receipt.json');
    const fetched = await bash('curl -s --fail --unix-socket "$SOCKET" "http://localhost/receipts/engine" > "$OUT"', {
      SOCKET: device.socket('agent'),
      OUT: receipt,
    });
    assert.equal(fetched.code, 0);
    assert.ok(RECEIPT_BYTES_MAX > 16 * 1024);
    assert.ok((await readFile(receipt)).length <= 16 * 1024);
    const trust = join(world.folder, 'trust.json');
    const shown = await edgekeep('trust', 'show', '--out', trust, '--operator', world.hub.operatorFile);
    assert.equal(shown.code, 0, shown.stderr);
    // Offline: the hub does not answer. The device got this receipt before any device could cosign.
    const verified = await edgekeep('receipt', 'verify', receipt, '--trust', trust, '--quorum', '0');
    assert.equal(verified.code, 0, verified.stdout + verified.stderr);
    assert.match(verified.stdout, /press-1, tier tpm/);
    assert.match(verified.stdout, /wrap {7}edgekeep-wrapped-key\/v3: by the root of trust and MLKEM768-X25519\n/);
    const asks = ['receipt', 'verify', receipt, '--trust', trust] as const;
    // A fleet of one has no witness for it: the log says so, and the verdict does.
    assert.match((await edgekeep(...asks)).stdout, /^verified\n[\s\S]*WEAKER RECEIPT/);
    const { code, stdout } = await edgekeep(...asks, '--refuse-weaker');
    assert.equal(code, 1, 'the trust file asks for a witness');
    assert.match(stdout, /witness|cosign/);
  });
});
