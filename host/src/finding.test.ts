import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failed, findingText, missing, ok, warning } from './finding.ts';

test('a finding is one line in columns, and what to do about it is a second one', () => {
  assert.equal(findingText(ok('clock', 'set')), 'ok       clock            set');
  for (const [finding, state] of [
    [warning('clock', 'late', 'set it'), 'warning '],
    [missing('clock', 'late', 'set it'), 'missing '],
    [failed('clock', 'late', 'set it'), 'failed  '],
  ] as const)
    assert.equal(findingText(finding), `${state} clock            late\n${' '.repeat(26)}next: set it`);
});
