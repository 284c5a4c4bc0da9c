import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const edgekeep = (...words: readonly string[]) => promisify(execFile)(process.execPath, [main, ...words]);

test('help of a verb ends with an example and what the exit codes mean', async () => {
  const { stdout } = await edgekeep('device', 'quarantine', '--help');
  assert.match(
    stdout,
    /\nexample: edgekeep device quarantine press-7 .*\n\nexit codes: 0 [^]*, 5 internal, 6 disk full[^]*\n$/,
  );
});

test('the name of a subject alone lists its verbs and no others', async () => {
  const { stdout } = await edgekeep('floe', '--help');
  assert.deepEqual(stdout.match(/^ {2}\w+ \w+/gm), ['  floe encrypt', '  floe decrypt']);
  await assert.rejects(edgekeep('floe', 'unlock'), {
    code: 2,
    stderr: /no such verb: floe unlock\n\n {2}floe encrypt/,
  });
});

test('alone, and with -h, every subject is listed in one screen; -h is --help for subjects and verbs; --version is the version', async () => {
  const { stdout: all } = await edgekeep();
  assert.equal((await edgekeep('-h')).stdout, all);
  assert.ok(all.split('\n').length < 60, all);
  assert.match(all, /^ {2}device +list, show, /m);
  assert.equal((await edgekeep('floe', '-h')).stdout, (await edgekeep('help', 'floe')).stdout);
  assert.equal((await edgekeep('device', 'list', '-h')).stdout, (await edgekeep('help', 'device', 'list')).stdout);
  assert.match((await edgekeep('--version')).stdout, /^edgekeep \d+\.\d+\.\d+\n$/);
});

test('a file that is not there is named once, with code 3', async () => {
  await assert.rejects(edgekeep('attest', 'replay', '/nonexistent/log'), {
    code: 3,
    stderr:
      'edgekeep: ENOENT: there is no folder /nonexistent for /nonexistent/log: correct the path, or make the folder first\n',
  });
});

test('a folder in place of a file, and one without policies, are named with the next step', async () => {
  await assert.rejects(edgekeep('attest', 'replay', '/'), { code: 3, stderr: /^edgekeep: EISDIR: a folder was given/ });
  const { error } = await edgekeep('policy', 'validate', '/nonexistent', '--json').then(
    () => assert.fail('it has to fail'),
    (failed: unknown) =>
      z
        .object({ error: z.object({ code: z.string(), message: z.string() }) })
        .parse(JSON.parse(z.object({ stderr: z.string() }).parse(failed).stderr)),
  );
  assert.equal(error.code, 'ENOENT');
  assert.match(error.message, /^there is no file or folder \/nonexistent: /);
  await assert.rejects(edgekeep('policy', 'validate', import.meta.dirname), {
    code: 2,
    stderr: new RegExp(`^edgekeep: there is no \\*\\.cedar file in ${import.meta.dirname}: `),
  });
});

test('a verb that is nearly one names the verb, a subject that is nearly one the subject, and a far word lists nothing', async () => {
  const usage = (stderr: RegExp) => ({ code: 2, stderr });
  await assert.rejects(
    edgekeep('devise', 'lits'),
    usage(/^edgekeep: no such verb: devise lits; did you mean:\n\n {2}device list +list devices\n\n/),
  );
  await assert.rejects(edgekeep('enrrol', 'token', 'revok', 'x'), usage(/did you mean:\n\n {2}enroll token revoke /));
  await assert.rejects(edgekeep('devcie'), usage(/^edgekeep: no such verb: devcie; did you mean edgekeep device\?\n$/));
  await assert.rejects(edgekeep('xyzzy'), usage(/^edgekeep: no such verb: xyzzy; edgekeep help lists the subjects\n$/));
});

test('an option that is nearly one names the option', async () => {
  await assert.rejects(edgekeep('device', 'quarantine', 'press-7', '--raeson=x'), {
    code: 2,
    stderr:
      'edgekeep: unknown option --raeson; did you mean --reason?\nusage: edgekeep device quarantine ID --reason TEXT\n',
  });
  await assert.rejects(edgekeep('device', 'show', '--xyzzy'), { code: 2, stderr: /unknown option --xyzzy\n/ });
  // Node explains what may be wrong here: a value may be missing.
  await assert.rejects(edgekeep('device', 'quarantine', 'press-7', '--reason', '--xyzzy'), {
    code: 2,
    stderr: /'--reason <value>' argument is ambiguous|'--reason' argument is ambiguous/,
  });
});
