import assert from 'node:assert/strict';
import { test } from 'node:test';
import { forProgram, lockedNow, notYet, refusedByHub, refusedHere, unavailableAnswer } from './unavailable.ts';

test('an application reads why a model does not come, and is asked to come back only where that can help', () => {
  for (const [unavailable, why, again] of [
    [notYet, /not got a key/, true],
    [lockedNow, /locked/, true],
    [forProgram, /edgekeep model run/, false],
    [refusedByHub('not-found'), /no published release/, false],
    [refusedByHub('release-refused'), /the hub refuses it: release-refused/, false],
    [refusedHere('model-unsupported', true), /this device cannot use it: model-unsupported/, false],
    [refusedHere('memory-short', false), /memory-short/, true],
  ] as const) {
    const answer = unavailableAnswer(unavailable);
    const [head = '', body = ''] = answer.split('\r\n\r\n');
    assert.match(head, /^HTTP\/1\.1 503 /);
    assert.equal(/^Retry-After: /m.test(head), again, unavailable.why);
    assert.equal(Number(/^Content-Length: (\d+)/m.exec(head)?.[1]), Buffer.byteLength(body));
    assert.match(body, /^\{"error":"model-unavailable: /);
    assert.match(body, why);
  }
});
