// What `--help` loads: a verb's code, the client of the hub and its schemas would take more time than the rest together.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';

const listing = `data:text/javascript,${encodeURIComponent(
  "import { registerHooks } from 'node:module';" +
    "registerHooks({ load(url, context, next) { process.stderr.write('loads ' + url + '\\n'); return next(url, context); } });",
)}`;

test('the list of verbs loads neither the client of the hub nor a schema', () => {
  const main = join(import.meta.dirname, 'main.ts');
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', listing, main, '--help'], {
    encoding: 'utf8',
  });
  assert.equal(status, 0);
  assert.match(stdout, /edgekeep/);
  const loaded = [...stderr.matchAll(/^loads (.+)$/gm)].map(([, url = '']) => url);
  assert.ok(
    loaded.some((url) => url.endsWith('cli/src/verbs.ts')),
    'the loads are listed',
  );
  assert.deepEqual(
    loaded.filter((url) => /node_modules|node:(?:https|tls|crypto)$|operator\.ts$/.test(url)),
    [],
  );
});
