// docs/api-limits.md has every route of both listeners with its body limit and its allowed callers, as in the running hub.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Route } from '@edgekeep/hub/doors/http/route-table';
import { HubWorld } from './support/hub-world.ts';

const page = readFileSync(join(import.meta.dirname, '../docs/api-limits.md'), 'utf8');
const header = '| route | bytes of a body | who may ask |\n|---|---|---|\n';

function tableOf(routes: readonly Route[]): string {
  const lines = routes
    .filter(({ method }) => method !== 'HEAD')
    .map(({ method, url, bodyLimit, who }) => `| \`${method} ${url}\` | ${bodyLimit ?? '-'} | ${who} |`);
  return header + lines.toSorted().join('\n');
}

// SECURITY.md: HUB-39
test('docs/api-limits.md has every route with its limit and who may ask, and no other', async () => {
  await using world = await HubWorld.open();
  const { device, operator } = world.hub.routes;
  const expected = `## Device listener\n\n${tableOf(device)}\n\n## Operator listener\n\n${tableOf(operator)}\n`;
  const shown = page.slice(page.indexOf('## Device listener'));
  assert.equal(shown, expected, `docs/api-limits.md should end with:\n${expected}`);
});
