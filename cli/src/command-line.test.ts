import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { test } from 'node:test';
import { promisify } from 'node:util';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const edgekeep = (...words: readonly string[]) => promisify(execFile)(process.execPath, [main, ...words]);

test('help of a verb ends with an example and what the exit codes mean', async () => {
  const { stdout } = await edgekeep('device', 'quarantine', '--help');
  assert.match(stdout, /\nexample: edgekeep device quarantine press-7 .*\n\nexit codes: 0 .*, 5 internal\n$/);
});

test('the name of a subject alone lists its verbs and no others', async () => {
  const { stdout } = await edgekeep('floe', '--help');
  assert.deepEqual(stdout.match(/^ {2}\w+ \w+/gm), ['  floe encrypt', '  floe decrypt']);
  await assert.rejects(edgekeep('floe', 'unlock'), {
    code: 2,
    stderr: /no such verb: floe unlock\n\n {2}floe encrypt/,
  });
});

test('a file that is not there is named once, with code 3', async () => {
  await assert.rejects(edgekeep('attest', 'replay', '/nonexistent/log'), {
    code: 3,
    stderr: "edgekeep: ENOENT: no such file or directory, open '/nonexistent/log'\n",
  });
});
