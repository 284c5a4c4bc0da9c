import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AgentEvent } from './event.ts';
import { eventText, takesColor } from './event-text.ts';

const at = Date.UTC(2026, 10, 30, 18, 25, 7);
const text = (event: AgentEvent, colored = false) => eventText({ ...event, at }, colored);

test('a person reads sentences with the time of day, names and dates, and no JSON', () => {
  const model = 'inspect';
  const version = '1.0.0';
  const notAfter = at + 3_600_000;
  assert.equal(
    text({ kind: 'started', deviceId: 'press-7', tier: 'tpm' }),
    '18:25:07  press-7 starts; its root of trust: tpm',
  );
  assert.equal(
    text({ kind: 'downloading', model, version, done: 12_000_000, bytes: 40_000_000 }),
    '18:25:07  inspect 1.0.0: 30 % of 40.0 MB downloaded',
  );
  assert.equal(
    text({ kind: 'released', model, version, lease: 'a', notAfter }),
    '18:25:07  the key of inspect 1.0.0 was released, lease until 2026-11-30 19:25 UTC',
  );
  assert.equal(
    text({ kind: 'serving', model, version, guarded: true, degraded: [] }),
    '18:25:07  serving inspect 1.0.0',
  );
});

test('each reason of a refusal is a line below it', () => {
  const reasons = [
    { code: 'pcr-differs', message: 'PCR 4: an event differs' },
    { code: 'pcr-differs', message: 'PCR 7: an event differs' },
  ];
  const lines = text({
    kind: 'refused',
    step: 'attest',
    code: 'attestation-refused',
    message: 'the boot',
    reasons,
  }).split('\n');
  assert.deepEqual(lines, [
    '18:25:07  the hub refused (attest): attestation-refused: the boot',
    '          - pcr-differs: PCR 4: an event differs',
    '          - pcr-differs: PCR 7: an event differs',
  ]);
});

test('what the hub says moves no cursor and makes no line, with and without color', () => {
  const event = { kind: 'failed', step: 'x', code: 'y', message: '\u001b[2J\nserving everything\u202e' } as const;
  assert.equal(text(event), '18:25:07  x failed: y: \\u001b[2J\\u000aserving everything\\u202e');
  const colored = text(event, true);
  assert.deepEqual(colored.split('\u001b').length, 3);
  assert.ok(colored.includes('\u001b[31mx failed'));
});

test('color is for terminals, and not where NO_COLOR is set or the terminal has none', () => {
  assert.equal(takesColor({ isTTY: true }, {}), true);
  assert.equal(takesColor({ isTTY: true }, { NO_COLOR: '' }), true);
  assert.equal(takesColor({ isTTY: true }, { NO_COLOR: '1' }), false);
  assert.equal(takesColor({ isTTY: true }, { TERM: 'dumb' }), false);
  assert.equal(takesColor({ isTTY: false }, {}), false);
});
