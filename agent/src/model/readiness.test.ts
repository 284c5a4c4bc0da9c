// What a machine lacks is found before a key is requested.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AgentError } from '../error.ts';
import { assertReady } from './readiness.ts';

const file = {
  path: 'a',
  role: 'opaque',
  mediaType: 'x',
  size: 1_000_000,
  sha256: '',
  sealedSize: 1,
  sealedSha256: '',
};
const model = { name: 'surface', use: 'program', files: [{ ...file, role: 'opaque' as const }] } as const;
const plenty = { sharedMemory: async () => ({ freeBytes: 1e12, pageBytes: 4_096 }), memoryFree: () => 1e12 };
const noGuard = () => Promise.reject(new AgentError('guard-start', 'the guard does not run on this machine'));

test('a machine with room is ready, also where shared memory has no bound', async () => {
  await assertReady(model, noGuard, plenty);
  await assertReady(model, noGuard, { ...plenty, sharedMemory: async () => undefined });
});

test('too little shared memory or memory is refused with both numbers', async () => {
  const needed = 245 * 4_096;
  const short = { ...plenty, sharedMemory: async () => ({ freeBytes: needed - 1, pageBytes: 4_096 }) };
  await assert.rejects(assertReady(model, noGuard, short), {
    code: 'shared-memory-short',
    message: /1003520 .* 1003519 are free/,
  });
  await assert.rejects(assertReady(model, noGuard, { ...plenty, memoryFree: () => needed - 1 }), {
    code: 'memory-short',
  });
});

test('a guard that does not run here is found, and asked for only by a model that it serves', async () => {
  await assert.rejects(assertReady({ ...model, use: 'guard' }, noGuard, plenty), { code: 'guard-start' });
});
