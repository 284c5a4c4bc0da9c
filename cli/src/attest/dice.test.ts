// The offline verbs on a DICE device: reference values from its images, its attestation verified by an outsider, and the doctor's findings.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { encodeEventLogHeader } from '@edgekeep/core/attest/event-log';
import { encodeEvidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { toBase64url, toHex, utf8 } from '@edgekeep/core/bytes';
import { encodePem } from '@edgekeep/core/identity/pem';
import { DiceRootOfTrust } from '@edgekeep/hardware/dice/dice-root-of-trust';
import {
  DiceSimulator,
  DiceVendor,
  type FirmwareLayer,
  writeHandoffFolder,
} from '@edgekeep/hardware/dice/testing-simulator';

const main = fileURLToPath(new URL('../main.ts', import.meta.url));
const nonce = randomBytes(32);
const common = { vendor: 'Example', model: 'E1', version: '1.0' };
const firmware: readonly FirmwareLayer[] = [
  { ...common, image: utf8('boot'), svn: 1 },
  { ...common, image: utf8('runtime'), svn: 3 },
];
let folder = '';
const at = (name: string) => join(folder, name);

interface Ran {
  readonly code: number;
  readonly text: string;
}

async function edgekeep(...args: readonly string[]): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], { cwd: folder }, (error, stdout, stderr) => {
      const code = typeof error?.code === 'number' ? error.code : 0;
      resolve({ code, text: stdout + stderr });
    });
  });
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-dice-cli-'));
  const vendor = await DiceVendor.create('Example chips');
  const other = await DiceVendor.create('Other chips');
  const handoff = await new DiceSimulator(vendor, randomBytes(32)).boot(firmware);
  await using device = await DiceRootOfTrust.open(handoff, { stateFolder: at('state'), bootId: 'boot-1' });
  const bound = qualifyingData('local', nonce, new Uint8Array(0));
  const signed = await device.attest(bound, { bank: 'sha256', pcrs: [0, 14] });
  assert.ok(signed.kind === 'dice');
  const evidence: unknown = JSON.parse(
    Buffer.from(encodeEvidence({ ...signed, eventLog: encodeEventLogHeader() })).toString(),
  );
  const answer = { nonce: toBase64url(nonce), evidence, attestationResult: null };
  await writeHandoffFolder(at('handoff'), handoff);
  await writeFile(at('attestation.json'), JSON.stringify(answer));
  await writeFile(at('device-id.pem'), encodePem('CERTIFICATE', handoff.chain.at(-1) ?? new Uint8Array(0)));
  await writeFile(at('root.pem'), vendor.rootPem);
  await writeFile(at('other-root.pem'), other.rootPem);
  await writeFile(at('boot.bin'), 'boot');
  await writeFile(at('runtime.bin'), 'runtime');
  await writeFile(at('old.bin'), 'runtime 0');
});
after(() => rm(folder, { recursive: true, force: true }));

function layers(out: string, ...specs: readonly string[]): Promise<Ran> {
  const each = specs.flatMap((spec) => ['--layer', spec]);
  return edgekeep('reference', 'layers', '--name', 'fw', '--version', '1', ...each, '--out', out);
}

function verify(...more: readonly string[]): Promise<Ran> {
  const args = ['--attestation', 'attestation.json', '--key', 'device-id.pem', '--nonce', toHex(nonce)];
  return edgekeep('attest', 'verify', ...args, ...more);
}

test('reference values made from the published images affirm a device that runs them', async () => {
  const made = await layers('good.json', '0=boot.bin;vendor=Example', '1=old.bin;svn=2', '1=runtime.bin;svn=3');
  assert.deepEqual([made.code, made.text], [0, 'fw 1: layers 0,1, written to good.json\n']);
  const document = JSON.parse(await readFile(at('good.json'), 'utf8'));
  assert.deepEqual([document.layers[1].svnLeast, document.layers[1].fwids.length], [2, 2]);
  const verdict = await verify('--dice-root', 'root.pem', '--reference', 'good.json');
  assert.equal(verdict.code, 0, verdict.text);
  assert.match(verdict.text, /^verified: affirming, tier dice\n/);
  assert.match(verdict.text, /reference values: fw 1\n {2}layer 0: svn 1, TcbInfo [0-9a-f]{64}\n {2}layer 1: svn 3/);
});

test('another image, a higher security version, another root or nonce is refused', async () => {
  await layers('other.json', '0=boot.bin', '1=old.bin');
  const other = await verify('--dice-root', 'root.pem', '--reference', 'other.json');
  assert.deepEqual([other.code, /dice-fwid-unexpected: layer 1 "old.bin"/.test(other.text)], [1, true], other.text);
  await layers('newer.json', '0=boot.bin', '1=runtime.bin;svn=4');
  assert.match((await verify('--dice-root', 'root.pem', '--reference', 'newer.json')).text, /dice-svn-too-low/);
  assert.match((await verify('--dice-root', 'other-root.pem')).text, /dice-path-refused/);
  const args = ['--attestation', 'attestation.json', '--key', 'device-id.pem', '--dice-root', 'root.pem'];
  const stale = await edgekeep('attest', 'verify', ...args, '--nonce', '00'.repeat(32));
  assert.deepEqual([stale.code, stale.text.includes('qualifying-data-mismatch')], [1, true]);
});

test('a chain without a root to hold it to is a usage error, not a verdict', async () => {
  const { code, text } = await verify();
  assert.deepEqual([code, text.includes('--dice-root is missing')], [2, true], text);
});

test('a layer that says too little, too much or two things is a usage error', async () => {
  const wrong = [
    ['boot.bin'],
    ['0=boot.bin;svn=-1'],
    ['0=boot.bin;svn=1;svn=2'],
    ['0=boot.bin;debug=yes'],
    ['0=boot.bin;allow=anything'],
    ['0=boot.bin;vendor=A', '0=old.bin;vendor=B'],
    ['0=boot.bin;svn=1', '0=old.bin'],
    [],
  ];
  for (const specs of wrong) {
    const { code, text } = await layers('wrong.json', ...specs);
    assert.equal(code, 2, `${specs.join(' ')}: ${text}`);
  }
});

test('the doctor names the layers a device was started with, and says when the key lies on a disk or open to others', async () => {
  const { text } = await edgekeep('doctor', '--dice', at('handoff'));
  assert.match(text, /ok +DICE +layer 0: E1 1\.0 svn 1; layer 1: E1 1\.0 svn 3/);
  assert.match(text, /DICE handoff/);
  const missing = await edgekeep('doctor', '--dice', at('nowhere'));
  assert.match(missing.text, /warning +DICE +.*chain\.pem: it cannot be opened/);
});
