// docs/cli.md has a section for every verb of the command line, with the usage that `--help` shows, and none for a verb that does not exist.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { commands } from '@edgekeep/cli/commands';

const page = readFileSync(join(import.meta.dirname, '../docs/cli.md'), 'utf8');

test('docs/cli.md has every verb with its usage, and no other', async () => {
  const verbs = await Promise.all(
    Object.entries(commands).map(async ([name, load]) => `${name}: ${(await load()).usage}`),
  );
  const explained = [...page.matchAll(/^### (.+)\n\n`(.+)`$/gm)].map(([, name, usage]) => `${name}: ${usage}`);
  assert.deepEqual(explained.toSorted(), verbs.toSorted());
});
