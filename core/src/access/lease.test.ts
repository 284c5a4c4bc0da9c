import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lease, leaseSchema, leaseState } from './lease.ts';

const lease: Lease = {
  id: 'AAECAwQFBgcICQoLDA0ODw',
  deviceId: 'press-7',
  model: 'surface',
  version: '1.2.0',
  manifestDigest: 'ab'.repeat(32),
  notBefore: 1000,
  renewAfter: 1500,
  notAfter: 2000,
};

test('a lease is held from its first second to the one before its last', () => {
  const states = [999, 1000, 1499, 1500, 1999, 2000].map((now) => leaseState(lease, now));
  assert.deepEqual(states, ['not-yet', 'held', 'held', 'to-renew', 'to-renew', 'expired']);
});

test('a lease that ends before its renewal, runs for years, or names no device is refused', () => {
  assert.ok(leaseSchema.safeParse(lease).success);
  const wrong: readonly Partial<Record<keyof Lease, unknown>>[] = [
    { renewAfter: 2000 },
    { renewAfter: 999 },
    { notAfter: 1000 + 367 * 86_400 },
    { deviceId: 'Press 7' },
    { manifestDigest: 'AB'.repeat(32) },
    { id: 'short' },
    { notBefore: 1.5 },
  ];
  for (const change of wrong)
    assert.ok(!leaseSchema.safeParse({ ...lease, ...change }).success, JSON.stringify(change));
});
