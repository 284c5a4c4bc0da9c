// Every shell block of every page is typed on a new machine, in the page's order, or says why not.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { suite, test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { blocksOf, isShell, isTyped } from './pages.ts';
import { shellBlocks, walk } from './walk.ts';

// Before any test: what waits between tests lets the runner think that they are all done.
const skip = await skipWithout('unshare', 'mount', 'ip', 'script', 'jq', 'curl', 'openssl');

const repository = join(import.meta.dirname, '../..');
const pages = ['.', 'docs', 'docs/design', 'spec', 'examples/surface-inspection'].flatMap((folder) =>
  readdirSync(join(repository, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name)),
);
const blocks = pages.flatMap((page) =>
  blocksOf(readFileSync(join(repository, page), 'utf8')).map((block) => ({ page, ...block })),
);
const shell = blocks.filter(isShell);

test('a block that a reader types is called sh or console', () => {
  assert.deepEqual(
    shell.filter(({ language }) => !isTyped(language)).map(({ page, line }) => `${page}:${line}`),
    [],
  );
});

const run = shell.filter(({ notRun }) => notRun === undefined);
const left = shell.filter(({ notRun }) => notRun !== undefined);
test(`shell blocks of pages: ${run.length} run, ${left.length} not`, (t) => {
  const reasons = Map.groupBy(left, ({ page, notRun = '' }) => `${page}: ${notRun}`);
  for (const [reason, { length }] of reasons) t.diagnostic(`${length} of ${reason}`);
  assert.ok(run.length > 0);
  assert.deepEqual(
    left.filter(({ notRun = '' }) => notRun.split(' ').length < 3),
    [],
  );
});

// Each page has a machine, and so a network, of its own.
suite('typed on a new machine', { skip, concurrency: 2 }, () => {
  for (const page of new Set(run.map((block) => block.page))) {
    test(`${page}: every block does what it says`, async () => {
      const { code, output } = await walk(page, await shellBlocks(page));
      assert.equal(code, 0, output);
    });
  }
});
