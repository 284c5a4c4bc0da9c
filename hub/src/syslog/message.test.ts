import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AlertEvent } from '../event/alert-events.ts';
import { syslogFrame, type SyslogSource } from './message.ts';

const event: AlertEvent = {
  index: 4_711,
  at: Date.parse('2027-01-01T00:00:42.007Z'),
  change: 'raised',
  alert: 4_711,
  kind: 'clone',
  severity: 'critical',
  subject: 'device:press-7',
  title: 'a copy of press-7',
  actor: 'hub',
  note: null,
  data: {},
};
const source: SyslogSource = { hostName: 'hub.example', facility: 16, enterpriseNumber: null };
const frame = (over: Partial<AlertEvent> = {}, from: Partial<SyslogSource> = {}) =>
  Buffer.from(syslogFrame({ ...event, ...over }, { ...source, ...from }));

/** The message of a frame, whose length must be right. */
function messageOf(bytes: Buffer): string {
  const text = bytes.toString('utf8');
  const [head = '', length = ''] = /^(\d+) /.exec(text) ?? [];
  assert.equal(bytes.length - head.length, Number(length));
  return text.slice(head.length);
}

test('a message has the header, the element and the text of RFC 5424, and its length in octets before it', () => {
  assert.equal(
    messageOf(frame()),
    '<130>1 2027-01-01T00:00:42.007Z hub.example edgekeep - alert-raised [origin software="edgekeep"] \ufeffalert 4711 raised: critical clone device:press-7: a copy of press-7',
  );
});

test('an enterprise number gives an element with the members of the event', () => {
  const message = messageOf(frame({}, { enterpriseNumber: 99_999 }));
  assert.match(
    message,
    /\]\[edgekeep@99999 event="4711" alert="4711" change="raised" kind="clone" severity="critical" subject="device:press-7" actor="hub"\] /,
  );
});

test('the priority is facility and severity; what people did is informational', () => {
  const priority = (over: Partial<AlertEvent>, facility = 16) =>
    /^<(\d+)>/.exec(messageOf(frame(over, { facility })))?.[1];
  assert.deepEqual(
    (['critical', 'high', 'medium', 'low'] as const).map((severity) => priority({ severity })),
    ['130', '131', '132', '133'],
  );
  assert.equal(priority({ change: 'closed' }), '134');
  assert.equal(priority({ change: 'escalated' }, 0), '2');
  assert.equal(priority({ change: 'acknowledged' }, 23), '190');
});

// SECURITY.md: HUB-116
test('no text of a device ends a value, adds an element, begins a line or turns the direction of one', () => {
  const title = 'x\n<130>1 - forged - - - -\r\0\u2028\u0085\u001b[31m\u202e"] [forged@1 a="b"';
  const message = messageOf(frame({ title, subject: 'device:a"]\\[b', actor: 'device:a\nb' }, { enterpriseNumber: 7 }));
  assert.doesNotMatch(message, /[\p{Cc}\u2028\u2029\u202e]/u);
  assert.match(message, /subject="device:a\\"\\\]\\\\\[b" actor="device:a\ufffdb"\] \ufeff/);
  // The structured data ends at the first `]` that is not escaped and has no element behind it.
  const [, data = ''] = /alert-raised ((?:\[(?:[^"\]]|"(?:[^"\\\]]|\\["\\\]])*")*\])+) /.exec(message) ?? [];
  assert.equal(data.match(/\[(?:origin|edgekeep@7) /g)?.length, 2);
  assert.ok(!data.includes('forged'));
});

test('a name that no header can have is left out, and lone halves of characters and long texts fit', () => {
  assert.match(messageOf(frame({}, { hostName: 'a b' })), /Z - edgekeep/);
  assert.match(messageOf(frame({}, { hostName: 'x'.repeat(300) })), / x{255} edgekeep/);
  const long = frame({ title: `\ud83d${'\u{1f600}'.repeat(5_000)}` });
  assert.ok(long.length <= 7_200);
  assert.ok(messageOf(long).isWellFormed());
});
