// The attest verbs against tpm2-tools: the same PCR values from a log, the same verdict about a quote of a TPM simulator.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { cryptoAgileLog, testPcrs, uefiBoot } from '@edgekeep/core/attest/testing';
import { parseEventLog } from '@edgekeep/core/attest/event-log';
import { replayEventLog } from '@edgekeep/core/attest/replay';
import { toHex } from '@edgekeep/core/bytes';
import { simulatorTools, skipWithout, testSimulators, type TestSimulators } from '@edgekeep/hardware/tpm/testing';

const main = join(import.meta.dirname, '../main.ts');
const vectors = join(import.meta.dirname, '../../../spec/vectors/attest');
const run = promisify(execFile);

async function edgekeep(
  ...args: readonly string[]
): Promise<{ readonly code: number; readonly stdout: string; readonly stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'attest', ...args], (error, stdout, stderr) => {
      resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, stdout, stderr });
    });
  });
}

// tpm2_eventlog 5.4 takes padding for events, extends EV_NO_ACTION records and starts PCR 0 at zero (tpm2-tools issues 3224, 3146).
const beyondTheTool = [
  'padded.json',
  'padded-ones.json',
  'padded-ones-two-banks.json',
  'startup-locality-3.json',
  'hardware-crtm.json',
  'no-action-elsewhere.json',
  // It prints the known part of a bank without a note that an event lacks it.
  'bank-missing-in-events.json',
  'bank-missing-in-last.json',
];
const logs = readdirSync(join(vectors, 'event-log/valid')).filter((file) => !beyondTheTool.includes(file));

describe('attest replay', { skip: await skipWithout('tpm2_eventlog') }, () => {
  let folder = '';
  before(async () => void (folder = await mkdtemp(join(tmpdir(), 'edgekeep-replay-'))));
  after(() => rm(folder, { recursive: true }));

  for (const file of logs) {
    test(`prints for ${file} the PCR values tpm2_eventlog prints`, async () => {
      const { log }: { readonly log: string } = JSON.parse(
        readFileSync(join(vectors, 'event-log/valid', file), 'utf8'),
      );
      const path = join(folder, file);
      await writeFile(path, Buffer.from(log, 'hex'));
      const tool = await run('tpm2_eventlog', [path]);
      const printed = tool.stdout.slice(tool.stdout.indexOf('\npcrs:') + 1).trimEnd();
      assert.equal((await edgekeep('replay', path)).stdout.trimEnd(), printed);
    });
  }

  test('a log that is broken, missing or asked for another bank has its own exit code', async () => {
    const path = join(folder, 'broken');
    await writeFile(path, 'this is not an event log, honestly!');
    assert.equal((await edgekeep('replay', path)).code, 3);
    assert.equal((await edgekeep('replay', join(folder, 'missing'))).code, 3);
    assert.equal((await edgekeep('replay', path, '--bank', 'md5')).code, 2);
    await writeFile(path, cryptoAgileLog(uefiBoot));
    assert.equal((await edgekeep('replay', path, '--bank', 'sha384')).code, 3);
  });
});

const nonce = 'a1'.repeat(32);
const signing = 'fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|sign';
// tpm2_checkquote 5.4 verifies no RSAPSS signature; the TPM itself does.
const schemes = [
  { name: 'ecc', template: 'ecc256:ecdsa-sha256:null', scheme: 'ecdsa', oracle: 'tpm2_checkquote' },
  { name: 'rsassa', template: 'rsa2048:rsassa-sha256:null', scheme: 'rsassa', oracle: 'tpm2_checkquote' },
  { name: 'rsapss', template: 'rsa2048:rsapss-sha256:null', scheme: 'rsapss', oracle: 'tpm2_verifysignature' },
];

describe('attest verify', { skip: await skipWithout(...simulatorTools, 'tpm2_quote', 'tpm2_checkquote') }, () => {
  let simulators: TestSimulators;
  let tcti = '';
  const at = (name: string) => join(simulators.folder, name);
  // The simulator has no resource manager: the test flushes what a tool leaves in one of the three transient slots.
  const tpm2 = async (tool: string, ...args: readonly string[]) => {
    const env = { ...process.env, TPM2TOOLS_TCTI: tcti };
    await run(tool, [...args], { env });
    await run('tpm2_flushcontext', ['-t'], { env });
  };
  const list = `sha256:${testPcrs.join(',')}`;

  before(async () => {
    simulators = await testSimulators();
    tcti = `swtpm:path=${(await simulators.start('tpm')).socketPath}`;
    const log = cryptoAgileLog(uefiBoot);
    await writeFile(at('log'), log);
    const extensions = replayEventLog(parseEventLog(log), 'sha256').events.map(
      ({ pcr, digest }) => `${pcr}:sha256=${toHex(digest)}`,
    );
    await tpm2('tpm2_pcrextend', ...extensions);
    for (const { name, template, scheme } of schemes) {
      await tpm2('tpm2_createprimary', '-Q', '-C', 'e', '-G', template, '-a', signing, '-c', at(`${name}.ctx`));
      await tpm2(
        'tpm2_readpublic',
        '-Q',
        '-c',
        at(`${name}.ctx`),
        '-f',
        'tss',
        '-o',
        at(`${name}.pub`),
        '-q',
        at(`${name}.qn`),
      );
      await tpm2('tpm2_readpublic', '-Q', '-c', at(`${name}.ctx`), '-f', 'pem', '-o', at(`${name}.pem`));
      const quote = [
        '-Q',
        '-c',
        at(`${name}.ctx`),
        '-l',
        list,
        '-q',
        nonce,
        '-m',
        at(`${name}.quote`),
        '--scheme',
        scheme,
      ];
      await tpm2('tpm2_quote', ...quote, '-s', at(`${name}.plain`), '-f', 'plain');
      await tpm2('tpm2_quote', ...quote, '-s', at(`${name}.sig`));
    }
    const golden = [
      'reference',
      at('log'),
      '--name',
      'line',
      '--version',
      '1.0.0',
      '--pcrs',
      testPcrs.join(','),
      '--out',
      at('reference'),
    ];
    assert.equal((await edgekeep(...golden)).code, 0);
    const ended = [...golden.slice(0, -1), at('ended'), '--not-before', '2020-01-01', '--not-after', '2020-12-31'];
    assert.equal((await edgekeep(...ended)).code, 0);
  });
  after(() => simulators[Symbol.asyncDispose]());

  const options = (name: string, changed: Readonly<Record<string, string>> = {}) => {
    const all = {
      quote: at(`${name}.quote`),
      signature: at(`${name}.sig`),
      key: at(`${name}.pub`),
      nonce,
      'event-log': at('log'),
      reference: at('reference'),
      ...changed,
    };
    return Object.entries(all).flatMap(([option, value]) => [`--${option}`, value]);
  };
  const verified = async (changed: Readonly<Record<string, string>>, name = 'ecc') =>
    (await edgekeep('verify', ...options(name, changed))).code;

  test('reference values that have ended are refused', async () => {
    assert.equal(await verified({ reference: at('ended') }), 2);
    assert.equal(await verified({}), 0);
  });

  for (const { name, oracle } of schemes) {
    test(`accepts a ${name} quote that ${oracle} accepts, with the key in every form`, async () => {
      const files = ['-Q', '-m', at(`${name}.quote`), '-s', at(`${name}.sig`), '-g', 'sha256'];
      if (oracle === 'tpm2_checkquote') await tpm2(oracle, ...files, '-u', at(`${name}.pem`), '-q', nonce);
      else await tpm2(oracle, ...files, '-c', at(`${name}.ctx`));
      const qualifiedName = toHex(await readFile(at(`${name}.qn`)));
      assert.equal(await verified({ 'qualified-name': qualifiedName, pcrs: testPcrs.join(',') }, name), 0);
      assert.equal(await verified({ key: at(`${name}.pem`) }, name), 0);
      await writeFile(at(`${name}.tpmt`), (await readFile(at(`${name}.pub`))).subarray(2));
      assert.equal(await verified({ key: at(`${name}.tpmt`) }, name), 0);
    });

    test(`refuses a ${name} quote under another key or nonce`, async () => {
      const other = name === 'ecc' ? 'rsassa' : 'ecc';
      assert.equal(await verified({ key: at(`${other}.pem`) }, name), 1);
      assert.equal(await verified({ nonce: 'a2'.repeat(32) }, name), 1);
      if (oracle !== 'tpm2_checkquote') return;
      const files = ['-m', at(`${name}.quote`), '-s', at(`${name}.sig`), '-g', 'sha256'];
      await assert.rejects(tpm2('tpm2_checkquote', '-u', at(`${other}.pem`), ...files, '-q', nonce));
      await assert.rejects(tpm2('tpm2_checkquote', '-u', at(`${name}.pem`), ...files, '-q', 'a2'.repeat(32)));
    });
  }

  test('accepts the plain signature form for ECDSA and RSASSA', async () => {
    for (const name of ['ecc', 'rsassa']) {
      const quote = at(`${name}.plain-quote`);
      const files = ['-m', quote, '-s', at(`${name}.plain`), '-f', 'plain'];
      await tpm2('tpm2_quote', '-Q', '-c', at(`${name}.ctx`), '-l', list, '-q', nonce, ...files);
      assert.equal(await verified({ quote, signature: at(`${name}.plain`) }, name), 0, name);
    }
  });

  test('refuses a quote, a signature and a key with a byte changed, anywhere', async () => {
    for (const file of ['quote', 'sig', 'pub']) {
      const bytes = await readFile(at(`ecc.${file}`));
      for (const position of [0, 2, 7, Math.floor(bytes.length / 2), bytes.length - 1]) {
        const changed = Buffer.from(bytes);
        changed[position] = (changed[position] ?? 0) ^ 0x10;
        await writeFile(at('changed'), changed);
        const option = { quote: 'quote', sig: 'signature', pub: 'key' }[file] ?? file;
        const code = await verified({ [option]: at('changed') });
        assert.ok(code === 1 || code === 3, `${file} byte ${position} gives ${code}`);
      }
    }
  });

  test('refuses another PCR selection than the one asked for', async () => {
    assert.equal(await verified({ pcrs: '0,4' }), 1);
  });

  test('refuses another qualified name', async () => {
    assert.equal(await verified({ 'qualified-name': toHex(await readFile(at('rsassa.qn'))) }), 1);
  });

  test('names the event when the boot differs from the reference values', async () => {
    const altered = uefiBoot.map((event, index) => (index === 2 ? { ...event, measured: Buffer.from('off') } : event));
    await writeFile(at('altered-log'), cryptoAgileLog(altered));
    assert.equal(
      (
        await edgekeep(
          'reference',
          at('altered-log'),
          '--name',
          'line',
          '--version',
          '0.9.0',
          '--pcrs',
          '7',
          '--out',
          at('other'),
        )
      ).code,
      0,
    );
    const { code, stdout } = await edgekeep('verify', ...options('ecc', { reference: at('other') }));
    assert.equal(code, 1);
    assert.match(
      stdout,
      /event-differs: PCR 7: an event differs: event 3 is EV_EFI_VARIABLE_DRIVER_CONFIG "SecureBoot: on" with digest [0-9a-f]{64}/,
    );
  });

  test('refuses the log of another boot', async () => {
    await writeFile(at('short-log'), cryptoAgileLog(uefiBoot.slice(0, -1)));
    const { code, stdout } = await edgekeep('verify', ...options('ecc', { 'event-log': at('short-log') }));
    assert.equal(code, 1);
    assert.match(stdout, /pcr-digest-mismatch/);
  });

  test('refuses the old log once a PCR was extended again', async () => {
    await tpm2('tpm2_pcrextend', `14:sha256=${'66'.repeat(32)}`);
    const files = ['-m', at('later.quote'), '-s', at('later.sig')];
    await tpm2('tpm2_quote', '-Q', '-c', at('ecc.ctx'), '-l', list, '-q', nonce, ...files);
    assert.equal(await verified({ quote: at('later.quote'), signature: at('later.sig') }), 1);
  });

  test('a key that is not a restricted signing key is broken input', async () => {
    const free = signing.replace('|restricted', '');
    await tpm2(
      'tpm2_createprimary',
      '-Q',
      '-C',
      'e',
      '-G',
      'ecc256:ecdsa-sha256:null',
      '-a',
      free,
      '-c',
      at('free.ctx'),
    );
    await tpm2('tpm2_readpublic', '-Q', '-c', at('free.ctx'), '-f', 'tss', '-o', at('free.pub'));
    assert.equal(await verified({ key: at('free.pub') }), 3);
  });
});
