// docs/snippets.md says which published snippets work: each "yes" names a test that exists, and the others are listed with their reason.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

test('every snippet that works is run by the test that the page names; the others have a reason', async (context) => {
  const page = await readFile(join(root, 'docs/snippets.md'), 'utf8');
  const rows = page
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| snippet'))
    .map((line) => line.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, '')));
  assert.ok(rows.length > 0);
  for (const [snippet = '', works, where = ''] of rows) {
    if (works !== 'yes') {
      assert.ok(where.length > 0, snippet);
      context.diagnostic(`${works}: ${snippet}: ${where}`);
      continue;
    }
    const [, file = '', title = ''] = /^`([^`]+)`: (.*?)(?:\. |$)/.exec(where) ?? [];
    const source = await readFile(join(root, file), 'utf8');
    assert.ok(title !== '' && source.includes(title), `${snippet}: ${file} has no "${title}"`);
  }
});
