// Agreement with tpm2-tools, an independent implementation: names, credentials, import blobs, policy digests, quotes.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { ByteWriter, toHex, utf8 } from '@edgekeep/core/bytes';
import { commandCodes } from '@edgekeep/core/tpm/command-code';
import { getHandles, handleRanges } from '@edgekeep/core/tpm/commands/capability';
import { nvReadPublic } from '@edgekeep/core/tpm/commands/nv';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { makeImportBlob } from '@edgekeep/core/tpm/import-blob';
import { pcrDigest } from '@edgekeep/core/tpm/pcr-selection';
import {
  emptyPolicy,
  policyAuthorize,
  policyCommandCode,
  policyCounterTimer,
  policyNv,
  policyOr,
  policyPcr,
  policySecret,
} from '@edgekeep/core/tpm/policy';
import { encodePublic, hierarchies, parsePublic, publicKeyOf, tpmName } from '@edgekeep/core/tpm/public-area';
import { TpmClient } from './client.ts';
import type { TpmSimulator } from './simulator.ts';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators, tpm2 } from './testing.ts';
import { TpmRootOfTrust } from './tpm-root-of-trust.ts';
import { openTransport } from './transport.ts';

const skip = await skipWithout(...simulatorTools, 'tpm2_quote');
let simulators: TestSimulators;
let simulator: TpmSimulator;
let folder: string;

before(async () => {
  if (skip !== false) return;
  simulators = await testSimulators();
  simulator = await simulators.start('tpm');
  folder = simulators.folder;
});
after(() => simulators?.[Symbol.asyncDispose]());

const run = (tool: string, ...args: readonly string[]) => tpm2(simulator, folder, tool, ...args);
const read = (name: string) => readFile(join(folder, name));
const endorsementHandle = '0x81010001';
const endorsementEntity = new ByteWriter().u32(hierarchies.endorsement).finish();

/** The digest of a trial session at `policy.ctx` after `steps`, which write it to `policy.out`. */
async function toolPolicy(steps: () => Promise<unknown>): Promise<string> {
  await run('startauthsession', '-S', 'policy.ctx');
  try {
    await steps();
    return toHex(await read('policy.out'));
  } finally {
    await run('flushcontext', 'policy.ctx');
  }
}

test('names of RSA, ECC and sealed objects are those of tpm2_readpublic', { skip }, async () => {
  await run('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'primary.ctx');
  await writeFile(join(folder, 'secret'), 'sealed');
  await run('create', '-C', 'primary.ctx', '-i', 'secret', '-u', 'sealed.pub', '-r', 'sealed.priv');
  await run('flushcontext', '-t');
  await run('load', '-C', 'primary.ctx', '-u', 'sealed.pub', '-r', 'sealed.priv', '-c', 'sealed.ctx');
  await run('flushcontext', '-t');
  for (const object of [endorsementHandle, '0x81010016', 'primary.ctx', 'sealed.ctx']) {
    await run('readpublic', '-c', object, '-o', 'object.pub', '-n', 'object.name');
    await run('flushcontext', '-t');
    const publicArea = parsePublic(await read('object.pub'));
    assert.equal(toHex(tpmName(publicArea)), toHex(await read('object.name')), object);
    assert.equal(toHex(encodePublic(publicArea)), toHex((await read('object.pub')).subarray(2)), object);
  }
});

test('tpm2_activatecredential opens our credential', { skip }, async () => {
  await run(
    'createak',
    '-C',
    endorsementHandle,
    '-c',
    'ak.ctx',
    '-G',
    'ecc',
    '-g',
    'sha256',
    '-s',
    'ecdsa',
    '-n',
    'ak.name',
  );
  await run('flushcontext', '-t');
  await run('readpublic', '-c', endorsementHandle, '-o', 'ek.pub');
  const secret = randomBytes(32);
  const endorsementPublic = parsePublic(await read('ek.pub'));
  const made = makeCredential({ endorsementPublic, name: await read('ak.name'), secret, randomBytes });
  // The file of tpm2_makecredential: a magic number, a version, the two structures.
  const header = new ByteWriter().u32(0xbadcc0de).u32(1).finish();
  await writeFile(join(folder, 'credential'), Buffer.concat([header, made.credentialBlob, made.encryptedSecret]));
  await run('startauthsession', '--policy-session', '-S', 'session.ctx');
  await run('policysecret', '-S', 'session.ctx', '-c', 'e');
  const options = [
    '-c',
    'ak.ctx',
    '-C',
    endorsementHandle,
    '-i',
    'credential',
    '-o',
    'opened',
    '-P',
    'session:session.ctx',
  ];
  await run('activatecredential', ...options);
  await run('flushcontext', 'session.ctx');
  await run('flushcontext', '-t');
  assert.equal(toHex(await read('opened')), toHex(secret));
});

test('tpm2_import, tpm2_load and tpm2_unseal open our import blob, under PCRs only', { skip }, async () => {
  // A P-256 storage key: tpm2_import has no option for the policy session that an endorsement key requires.
  await run('createprimary', '-C', 'o', '-G', 'ecc', '-c', 'parent.ctx');
  await run('readpublic', '-c', 'parent.ctx', '-o', 'parent.pub');
  await run('flushcontext', '-t');
  await run('pcrread', 'sha256:0,7', '-o', 'pcrs');
  const pcrs = [{ bank: 'sha256', pcrs: [0, 7] }] as const;
  const policyDigest = policyPcr(emptyPolicy(), pcrs, pcrDigest([await read('pcrs')]));
  const secret = randomBytes(32);
  const parentPublic = parsePublic(await read('parent.pub'));
  const blob = makeImportBlob({ parentPublic, secret, policyDigest, randomBytes });
  await writeFile(join(folder, 'blob.pub'), blob.publicArea);
  await writeFile(join(folder, 'blob.dup'), blob.duplicate);
  await writeFile(join(folder, 'blob.seed'), blob.encryptedSeed);
  await run('import', '-C', 'parent.ctx', '-u', 'blob.pub', '-i', 'blob.dup', '-s', 'blob.seed', '-r', 'blob.priv');
  await run('flushcontext', '-t');
  await run('load', '-C', 'parent.ctx', '-u', 'blob.pub', '-r', 'blob.priv', '-c', 'blob.ctx');
  await run('flushcontext', '-t');
  await run('unseal', '-c', 'blob.ctx', '-p', 'pcr:sha256:0,7', '-o', 'unsealed');
  await run('flushcontext', '-t');
  assert.equal(toHex(await read('unsealed')), toHex(secret));
  // Without its policy, with a password instead, it does not open.
  await assert.rejects(run('unseal', '-c', 'blob.ctx'), /0x12F|authorization/i);
  await run('flushcontext', '-t');
  await run('pcrextend', `7:sha256=${toHex(randomBytes(32))}`);
  await assert.rejects(run('unseal', '-c', 'blob.ctx', '-p', 'pcr:sha256:0,7'), /0x99D|policy/i);
  await run('flushcontext', '-t');
});

test('policy digests are those of tpm2_policy*', { skip }, async () => {
  await run('pcrread', 'sha256:1,2,3', '-o', 'values');
  const pcrs = [{ bank: 'sha256', pcrs: [1, 2, 3] }] as const;
  const byPcr = policyPcr(emptyPolicy(), pcrs, pcrDigest([await read('values')]));
  const session = ['-S', 'policy.ctx', '-L', 'policy.out'];
  assert.equal(await toolPolicy(() => run('policypcr', ...session, '-l', 'sha256:1,2,3')), toHex(byPcr));

  const bySecret = policySecret(emptyPolicy(), endorsementEntity);
  assert.equal(await toolPolicy(() => run('policysecret', ...session, '-c', 'e')), toHex(bySecret));

  const byCommand = policyCommandCode(emptyPolicy(), commandCodes.unseal);
  const unseal = `0x${commandCodes.unseal.toString(16)}`;
  assert.equal(await toolPolicy(() => run('policycommandcode', ...session, unseal)), toHex(byCommand));

  await writeFile(join(folder, 'a'), bySecret);
  await writeFile(join(folder, 'b'), byCommand);
  const either = policyOr([bySecret, byCommand]);
  assert.equal(await toolPolicy(() => run('policyor', ...session, '-l', 'sha256:a,b')), toHex(either));
});

test('the digest of PolicyAuthorize is that of tpm2_policyauthorize', { skip }, async () => {
  await run('readpublic', '-c', endorsementHandle, '-n', 'key.name');
  await writeFile(join(folder, 'input'), new Uint8Array(32));
  await writeFile(join(folder, 'reference'), 'model 1');
  const made = policyAuthorize(await read('key.name'), utf8('model 1'));
  const options = ['-S', 'policy.ctx', '-L', 'policy.out', '-i', 'input', '-q', 'reference', '-n', 'key.name'];
  assert.equal(await toolPolicy(() => run('policyauthorize', ...options)), toHex(made));
});

test('the digests of PolicyNV and PolicyCounterTimer are those of the tools', { skip }, async () => {
  await run('nvdefine', '0x1800010', '-C', 'o', '-s', '8', '-a', 'ownerread|ownerwrite|nt=counter');
  await run('nvincrement', '0x1800010', '-C', 'o');
  await run('nvread', '0x1800010', '-C', 'o', '-o', 'operand');
  const value = await read('operand');
  let name: Uint8Array;
  {
    await using client = new TpmClient(await openTransport(simulator.address));
    assert.ok((await client.execute(getHandles(handleRanges.nvIndex))).includes(0x1800010));
    ({ name } = await client.execute(nvReadPublic(0x1800010)));
  }
  const byNv = policyNv(emptyPolicy(), name, { operand: value, offset: 0, operation: 'unsignedGreaterOrEqual' });
  const options = ['-S', 'policy.ctx', '-L', 'policy.out'];
  assert.equal(
    await toolPolicy(() => run('policynv', ...options, '-C', 'o', '-i', 'operand', '0x1800010', 'uge')),
    toHex(byNv),
  );
  // TPMS_TIME_INFO: time, then clock at offset 8.
  const operand = new ByteWriter().u64(1_000_000_000n).finish();
  const byClock = policyCounterTimer(emptyPolicy(), { operand, offset: 8, operation: 'unsignedLess' });
  assert.equal(
    await toolPolicy(() => run('policycountertimer', ...options, '--ult', 'clock=1000000000')),
    toHex(byClock),
  );
});

test('tpm2_checkquote accepts our quote, and not with another nonce', { skip }, async () => {
  const nonce = randomBytes(32);
  {
    await using device = await TpmRootOfTrust.open(simulator.address);
    const signed = await device.attest(nonce, { bank: 'sha256', pcrs: [0, 1, 7] });
    assert.ok(signed.kind === 'tpm');
    const { attestationPublic } = await device.describe();
    const pem = publicKeyOf(parsePublic(attestationPublic)).export({ type: 'spki', format: 'pem' });
    await writeFile(join(folder, 'quote'), signed.quote);
    await writeFile(join(folder, 'signature'), signed.signature);
    await writeFile(join(folder, 'ak.pem'), pem);
  }
  const options = ['-u', 'ak.pem', '-m', 'quote', '-s', 'signature', '-g', 'sha256'];
  await run('checkquote', ...options, '-q', toHex(nonce));
  await assert.rejects(run('checkquote', ...options, '-q', toHex(randomBytes(32))));
});

test('PCR values are those of tpm2_pcrread after an extend of ours', { skip }, async () => {
  {
    await using device = await TpmRootOfTrust.open(simulator.address);
    await device.extend(9, randomBytes(32));
    const values = await device.readPcrs({ bank: 'sha256', pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] });
    await writeFile(join(folder, 'ours'), Buffer.concat([...values.values()]));
  }
  await run('pcrread', 'sha256:0,1,2,3,4,5,6,7,8,9', '-o', 'theirs');
  assert.equal(toHex(await read('ours')), toHex(await read('theirs')));
});
