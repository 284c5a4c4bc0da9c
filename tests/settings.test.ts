// docs/settings.md names every setting with the default the code gives it, and no setting that does not exist.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { hubSettingsSchema } from '@edgekeep/hub/settings';
import { z } from 'zod';

const page = readFileSync(join(import.meta.dirname, '../docs/settings.md'), 'utf8');

/** `name default` of every setting, groups spelled with dots. */
function settingsOf({ properties = {} }: z.core.JSONSchema.BaseSchema, prefix = ''): readonly string[] {
  return Object.entries(properties).flatMap(([name, each]) =>
    typeof each === 'boolean' || each.properties === undefined
      ? [`${prefix}${name} ${JSON.stringify(typeof each === 'boolean' ? undefined : each.default)}`]
      : settingsOf(each, `${prefix}${name}.`),
  );
}

function explained(section: string): readonly string[] {
  const text = page.split(/^## /m).find((each) => each.startsWith(`${section}\n`)) ?? '';
  return [...text.matchAll(/^\| `([a-zA-Z.]+)` \| `([^`]+)` \|/gm)].map(([, name, value]) => `${name} ${value}`);
}

test('docs/settings.md has every setting of the hub with its default, and no other', () => {
  const settings = settingsOf(z.toJSONSchema(hubSettingsSchema, { io: 'input' }));
  assert.ok(settings.length > 10, `found ${settings.length}`);
  assert.deepEqual(explained('Hub').toSorted(), settings.toSorted());
});

test('the example on the page is valid settings of the hub', () => {
  const example = /## Hub[\s\S]*?```json\n([\s\S]*?)```/.exec(page)?.[1] ?? '';
  assert.equal(hubSettingsSchema.parse(JSON.parse(example)).leaseSeconds, 900);
});
