// Every shell block of every page is typed on a new machine, in the page's order, or says why not.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { blocksOf, isShell, isTyped } from './pages.ts';
import { shellBlocks, walk } from './walk.ts';

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
test(`${run.length} shell blocks of ${new Set(run.map(({ page }) => page)).size} pages are run, ${shell.length - run.length} are not`, (t) => {
  for (const { page, line, notRun } of shell) if (notRun !== undefined) t.diagnostic(`${page}:${line}: not run: ${notRun}`);
  assert.ok(run.length > 0);
});

const skip = await skipWithout('unshare', 'mount', 'ip', 'script', 'jq', 'curl', 'openssl');
for (const page of new Set(run.map((block) => block.page))) {
  test(`${page}: every block does what it says`, { skip }, async () => {
    const { code, output } = await walk(page, await shellBlocks(page));
    assert.equal(code, 0, output);
  });
}
