import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Question, questionSchema } from '@edgekeep/core/policy/question';
import { changeOf } from './other-facts.ts';

function asked(ip: string): Question {
  return questionSchema.parse({
    action: 'releaseKey',
    principal: { kind: 'device', id: 'press-1', groups: ['old'] },
    resource: { kind: 'model', name: 'belt', version: '1.0.0' },
    context: { network: { ip, country: 'DE' } },
  });
}

test('without other facts nothing changes a question', () => {
  assert.equal(changeOf({ countries: undefined, groups: {} }), undefined);
});

test('a question is asked with the country that the other table gives, or with none', () => {
  const change = changeOf({ countries: [{ network: '10.0.0.0/8', country: 'AT' }], groups: {} });
  assert.equal(change?.(asked('10.1.2.3')).context.network.country, 'AT');
  assert.equal(change?.(asked('192.0.2.1')).context.network.country, undefined);
});

test('a device is asked about as a member of the groups that it would be in', () => {
  const groups = { new: { add: ['press-1'], remove: [] }, old: { add: [], remove: ['press-1'] } };
  const question = changeOf({ countries: undefined, groups })?.(asked('10.1.2.3'));
  assert.deepEqual(question?.principal.kind === 'device' && question.principal.groups, ['new']);
});
