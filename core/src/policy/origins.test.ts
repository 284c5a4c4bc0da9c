import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { attributeOrigins, registryOrigins } from './origins.ts';

test('the page prints the table as it is', () => {
  const page = readFileSync(join(import.meta.dirname, '../../../docs/design/claims.md'), 'utf8');
  assert.ok(page.includes(`\n${originsText()}\n`), `docs/design/claims.md must have:\n${originsText()}`);
});

/** The table as the page prints it. */
function originsText(): string {
  const rows = [...Object.entries(attributeOrigins), ...Object.entries(registryOrigins)].map(
    ([name, origin], position) =>
      `| \`${name}\` | ${position < Object.keys(attributeOrigins).length ? 'Cedar' : 'registry'} | ${origin} |`,
  );
  return ['| name | where | who says it |', '|---|---|---|', ...rows].join('\n');
}
