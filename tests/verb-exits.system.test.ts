// How every verb ends when something is wrong, against the exit codes of docs/cli.md and docs/errors.md; and that the standard output of --json is
// always one document.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { json as readJson } from 'node:stream/consumers';
import { verbs } from '@edgekeep/cli/verbs';
import { exitCodes } from '@edgekeep/cli/command';
import { encodePem } from '@edgekeep/core/identity/pem';
import { testRoot } from '@edgekeep/core/identity/testing-roots';
import { testSimulators } from '@edgekeep/hardware/tpm/testing';
import { z } from 'zod';
import { skipWithoutTpm } from './support/tpm-world.ts';

const root = join(import.meta.dirname, '..');
const endings = z.array(z.object({ exitCode: z.int(), stdout: z.string(), stderr: z.string() }));
const errorDocument = z.strictObject({ error: z.strictObject({ code: z.string(), message: z.string().min(1) }) });

// These start programs of their own, which the tests of hub and agent run.
const startPrograms = (name: string) => /^(agent run|hub (?!claim|jobs|roll-platform-key))/.test(name);
const named = Object.entries(verbs).filter(([name]) => !startPrograms(name));

// An example has the first digits of an id; those of issuing CAs are shorter.
const issuingIds = /^authority (?:activate|abandon|revoke)$/;
// Without --operator these ask no hub.
const mayBeOffline: ReadonlySet<string> = new Set(['attest verify', 'audit verify', 'doctor']);

let folder: string;
let operator: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'edgekeep-exits-'));
  operator = join(folder, 'unreachable.json');
  // Port 1 is open nowhere.
  const { certificate } = await testRoot({ notBeforeSeconds: 0, notAfterSeconds: 4_000_000_000 });
  const file = {
    url: 'https://127.0.0.1:1',
    root: encodePem('CERTIFICATE', certificate.der),
    token: 'ek_none',
  };
  writeFileSync(operator, JSON.stringify(file), { mode: 0o600 });
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** In one process without a terminal, so that nothing can ask. */
async function runAll(lines: readonly (readonly string[])[]) {
  const child = spawn(process.execPath, [join(root, 'tests/support/command-lines.ts')], {
    cwd: folder,
    detached: true,
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, HOME: folder, EDGEKEEP_OPERATOR: operator },
  });
  child.stdin.end(JSON.stringify(lines));
  return endings.parse(await readJson(child.stdout));
}

/** The words of an example, with every path in the folder of this test. */
function exampleOf(name: string): readonly string[] {
  const id = 'a'.repeat(issuingIds.test(name) ? 40 : 64);
  const line = (verbs[name]?.example ?? '').replace(/ (?:\||>) .*$/u, '');
  const words = execFileSync('bash', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
    .split('\0')
    .slice(0, -1);
  const inFolder = words.map((word) =>
    /^~?\//.test(word) ? join(folder, 'absent', word) : word.replace(/^[0-9a-f]*…$/, id),
  );
  const own = inFolder.includes('--') ? inFolder.slice(0, inFolder.indexOf('--')) : inFolder;
  return own[0] === 'model' && own[1] === 'run' ? [...own, '--json', '--', 'true'] : [...own, '--json'];
}

test('docs/cli.md and docs/errors.md have the exit codes that there are, with the same meaning', () => {
  for (const page of ['docs/cli.md', 'docs/errors.md']) {
    const rows = [...readFileSync(join(root, page), 'utf8').matchAll(/^\| (\d) \| /gm)].map(([, code]) => Number(code));
    assert.deepEqual(rows, Object.values(exitCodes), page);
  }
});

test('every verb refuses an unknown option with the status of a wrong command line, and --json says so in one document', async () => {
  const ended = await runAll(named.map(([name]) => [...name.split(' '), '--no-such-option', '--json']));
  const wrong = ended.flatMap(({ exitCode, stdout }, at) => {
    const bytes = stdout === '';
    const code = bytes ? 'usage' : errorDocument.parse(JSON.parse(stdout)).error.code;
    return exitCode === exitCodes.usage && code === 'usage' ? [] : [`${named[at]?.[0]}: ${exitCode} ${stdout}`];
  });
  assert.deepEqual(wrong, []);
  assert.deepEqual(
    named.filter((_, at) => ended[at]?.stdout === '').map(([name]) => name),
    ['secrets pkcs11-unseal', 'secrets tpm-unseal', 'model run'],
  );
});

test('every verb that asks a hub ends with 4 where none answers, or with 3 where a file of its example is missing; none is a fault of ours', async () => {
  const online = await Promise.all(
    named.map(async ([name, { load }]) => (Object.hasOwn((await load(verbs)).options, 'operator') ? [name] : [])),
  );
  const names = online.flat();
  assert.ok(names.length > 80, String(names.length));
  const ended = await runAll(names.map(exampleOf));
  const wrong = ended.flatMap(({ exitCode, stdout }, at) => {
    const { data } = errorDocument.safeParse(JSON.parse(stdout));
    if (data === undefined && mayBeOffline.has(names[at] ?? '')) return [];
    assert.ok(data !== undefined, `${names[at]}: ${stdout}`);
    const { error } = data;
    const missing =
      exitCode === exitCodes.input && /absent|no (?:file|folder|\*)|not there|no operator file/.test(error.message);
    const unreached = exitCode === exitCodes.unreachable && error.code === 'unreachable';
    return missing || unreached ? [] : [`${names[at]}: ${exitCode} ${stdout}`];
  });
  assert.deepEqual(wrong, []);
});

test('every other verb ends with a documented status on its example, and its --json is one document', async () => {
  const names: string[] = [];
  for (const [name, { load }] of named) {
    if (!Object.hasOwn((await load(verbs)).options, 'operator')) names.push(name);
  }
  const ended = await runAll(names.map(exampleOf));
  const wrong = ended.flatMap(({ exitCode, stdout }, at) => {
    if (stdout !== '') JSON.parse(stdout);
    const documented = exitCode <= exitCodes.machine && exitCode !== exitCodes.internal;
    return documented ? [] : [`${names[at]}: ${exitCode} ${stdout}`];
  });
  assert.deepEqual(wrong, []);
});

test(
  'without a TPM every verb that needs one ends with 6 and says at which address there is none; doctor reports it',
  { skip: skipWithoutTpm },
  async () => {
    const at = (name: string) => join(folder, name);
    const absent = ['--tpm', `unix:${at('no-tpm.sock')}`, '--json'];
    await using simulators = await testSimulators();
    const tpm = await simulators.start('tpm');
    const line = ['--organization', 'Example', '--root-folder', at('line-root'), '--json'];
    const [made, sealed] = await runAll([
      ['manufacture', 'init', '--ca', at('line'), ...line],
      ['secrets', 'tpm-seal', at('sealed.json'), '--tpm', `unix:${tpm.socketPath}`, '--json'],
    ]);
    assert.deepEqual([made?.exitCode, sealed?.exitCode], [0, 0], JSON.stringify([made, sealed]));
    const lines = [
      ['secrets', 'tpm-seal', at('other.json'), ...absent],
      ['secrets', 'tpm-unseal', at('sealed.json'), ...absent],
      ['manufacture', 'device', 'SN-1', '--ca', at('line'), ...absent],
    ];
    const ended = await runAll(lines);
    assert.deepEqual(
      ended.map(({ exitCode, stderr }) => [exitCode, errorDocument.parse(JSON.parse(stderr)).error.code]),
      lines.map(() => [exitCodes.machine, 'tpm-unreachable']),
    );
    const [doctor] = await runAll([['doctor', ...absent]]);
    assert.equal(doctor?.exitCode, exitCodes.ok);
    assert.match(doctor.stdout, /no TPM at|"missing"/);
  },
);

test('verbs that start the hub pass its errors on: one document on standard output, and its exit code', () => {
  const empty = join(folder, 'no-hub');
  for (const words of [
    ['hub', 'run'],
    ['hub', 'check', '--no-such-option'],
    ['hub', 'accept-clock'],
  ]) {
    const main = join(root, 'cli/src/main.ts');
    const { status, stdout } = spawnSync(process.execPath, [main, ...words, '--data', empty, '--json'], {
      encoding: 'utf8',
    });
    const { error } = errorDocument.parse(JSON.parse(stdout));
    const expected = words.length === 2 ? [exitCodes.input, 'settings-invalid'] : [exitCodes.usage, 'usage'];
    assert.deepEqual([status, error.code], expected, words.join(' '));
  }
});
