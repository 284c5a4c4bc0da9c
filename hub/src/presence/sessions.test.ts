import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkOf } from '@edgekeep/core/canonical/network-of';
import { isSameOrigin, judgeSession, type LiveSession, type SessionRule } from './sessions.ts';

const rule: SessionRule = { cannotBeCopied: false, silentMs: 60_000, nowMs: 1_000_000 };
const first: LiveSession = { id: 'a', address: '10.0.0.1', lineage: 1, usedAtMs: 999_000, contested: false };
const judge = (origin: Partial<LiveSession>, live: readonly LiveSession[], change: Partial<SessionRule> = {}) => {
  const verdict = judgeSession({ address: '10.0.0.1', lineage: 1, ...origin }, live, { ...rule, ...change });
  return [verdict.kind, verdict.kind === 'alone' ? [] : verdict.others.map(({ id }) => id)];
};

test('nobody else, or the same origin, is no conflict', () => {
  assert.deepEqual(judge({}, []), ['alone', []]);
  assert.deepEqual(judge({}, [first, { ...first, id: 'b', contested: true }]), ['alone', []]);
});

test('another address or another lineage is taken while the first is heard of, and replaced when it is silent', () => {
  const silent = { ...first, usedAtMs: 940_000 };
  for (const origin of [{ address: '10.0.0.2' }, { lineage: 2 }]) {
    assert.deepEqual(judge(origin, [first]), ['taken', ['a']]);
    assert.deepEqual(judge(origin, [{ ...first, usedAtMs: 940_001 }]), ['taken', ['a']]);
    assert.deepEqual(judge(origin, [silent]), ['replaced', ['a']]);
    assert.deepEqual(judge(origin, [silent, { ...first, id: 'b' }]), ['taken', ['b']]);
  }
});

test('what cannot be copied has moved, however lately the first was heard of', () => {
  assert.deepEqual(judge({ address: '10.0.0.2' }, [first], { cannotBeCopied: true }), ['moved', ['a']]);
});

test('a contested place is not taken over, by hardware as little as after a silence', () => {
  const contested = { ...first, contested: true, usedAtMs: 0 };
  for (const cannotBeCopied of [true, false]) {
    assert.deepEqual(judge({ address: '10.0.0.2' }, [contested], { cannotBeCopied }), ['taken', ['a']]);
  }
});

test('an IPv6 address counts by its first 64 bits, and an IPv4 one by all its bits in either spelling', () => {
  assert.equal(networkOf('::ffff:10.0.0.1'), '10.0.0.1');
  assert.equal(networkOf('10.0.0.1'), '10.0.0.1');
  assert.equal(networkOf(undefined), 'unknown');
  assert.equal(networkOf('2001:DB8:0:0:1::2%eth0'), '2001:db8:0:0');
  for (const [one, other, same] of [
    ['2001:db8:1:2:3:4:5:6', '2001:0db8:0001:0002::1', true],
    ['2001:db8::1', '2001:db8:0:0:ffff::', true],
    ['2001:db8:0:1::1', '2001:db8::1', false],
    ['fe80::1%eth0', 'fe80::2%eth0', true],
    ['::1', '::2', true],
    ['::1', '127.0.0.1', false],
    ['10.0.0.1', '10.0.0.2', false],
    ['unknown', 'unknown', true],
  ] as const) {
    const origin = (address: string) => ({ address, lineage: 0 });
    assert.equal(isSameOrigin(origin(one), origin(other)), same, `${one} and ${other}`);
  }
});
