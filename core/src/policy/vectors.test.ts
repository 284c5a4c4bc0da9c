// Every file in spec/vectors/access/policy: a *.cedar is valid and passes the tests beside it, or its first line names why it is refused.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadPolicy } from './policy.ts';
import { failedTests, parsePolicyTests } from './test-file.ts';

const folder = join(import.meta.dirname, '../../../spec/vectors/access/policy');
const names = readdirSync(folder);

for (const name of names.filter((each) => each.endsWith('.cedar'))) {
  const text = readFileSync(join(folder, name), 'utf8');
  const code = /^\/\/ (policy-[a-z-]+):/.exec(text)?.[1];
  test(code === undefined ? `${name} is valid and passes its tests` : `${name} is refused as ${code}`, () => {
    const loaded = loadPolicy(text, { name });
    if (code !== undefined) {
      assert.ok(loaded.kind === 'refused', 'it was taken');
      assert.deepEqual(new Set(loaded.faults.map((fault) => fault.code)), new Set([code]));
      return;
    }
    assert.ok(loaded.kind === 'loaded', JSON.stringify(loaded));
    const tests = parsePolicyTests(readFileSync(join(folder, name.replace('.cedar', '.test.json'))));
    assert.deepEqual(failedTests(loaded.policy, tests), []);
  });
}

test('there are vectors of both kinds', () => {
  assert.ok(names.some((name) => name.startsWith('invalid-')) && names.includes('factory.cedar'));
});
