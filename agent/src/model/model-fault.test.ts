// Every thrown error gets a name from the closed list, and a fault that would use up keys is final.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HardwareError } from '@edgekeep/hardware/error';
import { HostError } from '@edgekeep/host/error';
import { modelFaultPlaces } from '@edgekeep/wire/api/model-report';
import { AgentError } from '../error.ts';
import { faultOf, isFinal } from './model-fault.ts';

const system = (code: string) => Object.assign(new Error(`${code}: something, write`), { code });

test('what the machine lacks is named by what it lacks and where, however deep the cause lies', () => {
  const unavailable = new HostError('memory-file-unavailable', '/dev/shm', { cause: system('EMFILE') });
  const wrapped = new AgentError('model-damaged', 'surface', { cause: new Error('x', { cause: system('ENOSPC') }) });
  for (const [error, place, code] of [
    [system('ENOSPC'), 'open', 'shared-memory-short'],
    [system('ENOSPC'), 'download', 'disk-full'],
    [system('EROFS'), 'guard', 'temporary-folder-unusable'],
    [system('EMFILE'), 'guard', 'descriptors-short'],
    [unavailable, 'open', 'descriptors-short'],
    [new HostError('memory-file-unavailable', '/dev/shm'), 'check', 'shared-memory-missing'],
    [wrapped, 'open', 'shared-memory-short'],
    [new AgentError('guard-failed', 'model-load: no operator Foo'), 'guard', 'model-unsupported'],
    [new AgentError('guard-start', 'the guard was not ready within 5 ms'), 'guard', 'guard-slow'],
    [new HardwareError('tpm-failed', 'no'), 'key', 'key-unusable'],
    [new TypeError('a fault of ours'), 'open', 'unexpected'],
    ['a text', 'open', 'unexpected'],
  ] as const) {
    assert.equal(faultOf(error, place).code, code);
  }
});

test('a text is cut to what a report may carry', () => {
  assert.equal(Array.from(faultOf(new Error('é'.repeat(5_000)), 'guard').message).length, 300);
});

test('after a key was given out in vain, what the machine lacks is final at once and anything else at the third time', () => {
  assert.equal(isFinal({ code: 'model-unsupported', place: 'guard' }, 1), true);
  assert.equal(isFinal({ code: 'shared-memory-short', place: 'open' }, 1), true);
  assert.equal(isFinal({ code: 'guard-ended', place: 'guard' }, 2), false);
  assert.equal(isFinal({ code: 'guard-ended', place: 'guard' }, 3), true);
});

test('what was found before a key was asked for is never final: it costs nothing to look again', () => {
  for (const place of modelFaultPlaces.slice(0, modelFaultPlaces.indexOf('key'))) {
    assert.equal(isFinal({ code: 'shared-memory-short', place }, 1_000), false, place);
  }
});
