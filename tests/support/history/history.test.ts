// The checker of histories on histories that are written by hand: it accepts what can have happened, and finds each violation that is planted.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leafHash, nodeHash } from '@edgekeep/core/audit/merkle';
import * as fc from 'fast-check';
import { lifeProblems } from './device-life.ts';
import { type Answer, type OperationKind, History, type Recorded } from './history.ts';
import { checkLinearisable } from './linearizable.ts';
import { checkpointProblems, logProblems } from './log-content.ts';

/** One operation of press-1; without an answer it has no end. */
function operation(
  asked: OperationKind,
  begin: number,
  end?: number,
  answer?: Answer,
  more: Partial<Recorded> = {},
): Recorded {
  return { client: 'a client', asked, device: 'press-1', mark: `operation ${begin}`, begin, end, answer, ...more };
}
const key = (begin: number, end: number, lease = `lease ${begin}`) =>
  operation('key', begin, end, { kind: 'key', lease });
const refused = (begin: number, end: number) => operation('key', begin, end, { kind: 'refused' });
const done = (asked: OperationKind, begin: number, end: number) => operation(asked, begin, end, { kind: 'done' });
const look = (begin: number, end: number, state: 'active' | 'quarantined') =>
  operation('look', begin, end, { kind: 'state', state });

const accepted: Readonly<Record<string, readonly Recorded[]>> = {
  'a key before a quarantine, and none after it': [key(1, 2), done('quarantine', 3, 4), refused(5, 6)],
  'a key whose request began before the quarantine was answered': [done('quarantine', 1, 4), key(2, 6)],
  'a refusal whose request began before the quarantine was answered': [done('quarantine', 1, 4), refused(2, 3)],
  'a quarantine whose answer was lost, and that happened much later': [
    operation('quarantine', 1),
    key(2, 3),
    key(4, 5),
    refused(6, 7),
    look(8, 9, 'quarantined'),
  ],
  'a quarantine whose answer was lost, and that never happened': [operation('quarantine', 1), key(2, 3), key(8, 9)],
  'two lost orders that explain two changes': [
    operation('quarantine', 1),
    operation('reinstate', 2),
    refused(3, 4),
    key(5, 6),
  ],
  'a key whose answer was lost after the quarantine': [done('quarantine', 1, 2), operation('key', 3)],
  'devices of their own': [
    done('quarantine', 1, 2),
    operation('key', 3, 4, { kind: 'key', lease: 'x' }, { device: 'press-2' }),
  ],
};
for (const [what, history] of Object.entries(accepted)) {
  test(`is accepted: ${what}`, () => {
    assert.deepEqual(lifeProblems(history), []);
  });
}

const violations: Readonly<Record<string, readonly Recorded[]>> = {
  'a key after a quarantine that was answered': [key(1, 2), done('quarantine', 3, 4), key(5, 6)],
  'a key after a revocation that was answered': [done('revoke', 1, 2), done('reinstate', 3, 4), key(5, 6)],
  'a refusal of a device that nobody cut off': [key(1, 2), refused(3, 4)],
  'a state that nobody ordered': [done('quarantine', 1, 2), look(3, 4, 'active')],
  'one lost order for two changes': [operation('quarantine', 1), refused(2, 3), key(4, 5)],
  'a lost order that takes effect before it began': [refused(1, 2), operation('quarantine', 3)],
  'a key that one client got after another one had the refusal': [
    done('quarantine', 1, 10),
    refused(2, 3),
    key(4, 5),
    refused(6, 7),
  ],
};
for (const [what, history] of Object.entries(violations)) {
  test(`is found: ${what}`, () => {
    const [problem = '', ...others] = lifeProblems(history);
    assert.match(problem, /^press-1: a client asked /);
    assert.deepEqual(others, []);
  });
}

const answers: readonly (readonly [OperationKind, Answer | undefined])[] = [
  ['key', { kind: 'key', lease: 'x' }],
  ['key', { kind: 'refused' }],
  ['quarantine', { kind: 'done' }],
  ['reinstate', { kind: 'done' }],
  ['quarantine', undefined],
  ['reinstate', undefined],
  ['look', { kind: 'state', state: 'active' }],
  ['look', { kind: 'state', state: 'quarantined' }],
];

test('the verdict is the one of a search of all orders, for short histories of every kind', () => {
  const asked = fc.constantFrom(...answers);
  const history = fc.array(fc.tuple(asked, fc.nat(30), fc.nat(12)), { maxLength: 6 }).map((all) =>
    all.map(([[what, answer], from, length], at) =>
      // No two moments are the same.
      operation(what, from * 100 + at * 2, answer && (from + length) * 100 + at * 2 + 1, answer),
    ),
  );
  let violated = 0;
  fc.assert(
    fc.property(history, (operations) => {
      const expected = isExplained(operations);
      if (!expected) violated += 1;
      assert.equal(lifeProblems(operations).length === 0, expected);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(violated > 100, `only ${violated} histories had a violation`);
});

/** Tries every order of every choice of the lost operations. */
function isExplained(operations: readonly Recorded[], state = 'active'): boolean {
  if (operations.every(({ end }) => end === undefined)) return true;
  const firstEnd = Math.min(...operations.map(({ end = Infinity }) => end));
  return operations.some((each) => {
    if (each.begin > firstEnd) return false;
    const next = stateAfter(state, each);
    return (
      next !== undefined &&
      isExplained(
        operations.filter((other) => other !== each),
        next,
      )
    );
  });
}

function stateAfter(state: string, { asked, answer }: Recorded): string | undefined {
  if (asked === 'quarantine') return 'quarantined';
  if (asked === 'reinstate') return 'active';
  const wants = answer?.kind === 'state' ? answer.state : answer?.kind === 'refused' ? 'quarantined' : 'active';
  return wants === state ? state : undefined;
}

test('many lost orders do not make the search long', () => {
  const lost = Array.from({ length: 200 }, (_, at) => operation(at % 2 === 0 ? 'quarantine' : 'reinstate', at * 4));
  const looks = Array.from({ length: 200 }, (_, at) =>
    look(at * 4 + 2, at * 4 + 3, at % 3 === 0 ? 'quarantined' : 'active'),
  );
  assert.deepEqual(lifeProblems([...lost, ...looks]), []);
});

test('an operation that never ends and cannot take effect is no violation', () => {
  const model = { initial: 'a', nameOf: () => 'x', step: () => undefined } as const;
  const operations = [{ act: 'x', begin: 1, end: undefined }];
  assert.equal(checkLinearisable(operations, model).kind, 'linearisable');
});

const entry = (kind: string, data: object = {}, subject = 'device:press-1') =>
  Buffer.from(JSON.stringify({ actor: 'somebody', at: 1, data, kind, subject }));
const released = (lease: string) => entry('key-released', { lease: { id: lease } });
const cut = (begin: number) => entry('device-quarantined', { reason: `operation ${begin}` });
const back = (begin: number) => entry('device-active', { reason: `operation ${begin}` });

test('a log that has every answer once, and what was lost at most once, has no problem', () => {
  const history = [
    key(1, 2, 'a'),
    operation('key', 3),
    done('quarantine', 5, 6),
    operation('reinstate', 7),
    key(9, 10, 'c'),
  ];
  const log = [entry('hub-started', {}, 'hub'), released('a'), released('b'), cut(5), back(7), released('c')];
  assert.deepEqual(logProblems(history, log), []);
  assert.deepEqual(logProblems(history, log.toSpliced(2, 1)), []);
});

const logs: readonly (readonly [string, readonly Recorded[], readonly Uint8Array[], RegExp])[] = [
  ['an answered key is missing', [key(1, 2, 'a')], [], /\(a\) was answered and is not in the log/],
  [
    'an answered quarantine is missing',
    [done('quarantine', 1, 2)],
    [],
    /operation 1\) was answered and is not in the log/,
  ],
  ['a key is there twice', [key(1, 2, 'a')], [released('a'), released('a')], /\(a\) is in the log 2 times: 0, 1/],
  ['a lost order is there twice', [operation('quarantine', 1)], [cut(1), back(2), cut(1)], /in the log 2 times/],
  [
    'a key is there that nobody asked for',
    [key(1, 2, 'a')],
    [released('a'), released('b')],
    /1 keys .* nobody got, but only 0/,
  ],
  [
    'two keys are there for one lost answer',
    [operation('key', 1)],
    [released('a'), released('b')],
    /2 keys are in the log that nobody got, but only 1 answers were lost/,
  ],
  [
    'a later request is before an earlier one',
    [key(1, 2, 'a'), key(3, 4, 'b')],
    [released('b'), released('a')],
    /at 3 has entry 0, before entry 1 of .* at 1, which was answered before it began/,
  ],
  [
    'a key follows a quarantine',
    [operation('key', 1), done('quarantine', 2, 3)],
    [cut(2), released('b')],
    /entry 1 releases a key to device:press-1, which the log has as quarantined/,
  ],
];
for (const [what, history, log, says] of logs) {
  test(`is found: ${what}`, () => {
    const problems = logProblems(history, log);
    assert.ok(
      problems.some((problem) => says.test(problem)),
      problems.join('\n'),
    );
  });
}

test('a repeated order that a lost one had done already needs no entry', () => {
  const history = [operation('quarantine', 1), done('quarantine', 2, 3)];
  assert.deepEqual(logProblems(history, [cut(1)]), []);
  assert.deepEqual(logProblems([done('quarantine', 2, 3), operation('quarantine', 9)], []).length, 1);
});

const log = ['a', 'b', 'c'].map((text) => entry(text));
const [a, b, c] = log.map((each) => leafHash(each));
const text = (root: Uint8Array | undefined) => Buffer.from(root ?? assert.fail()).toString('base64');
const seen = (size: number, root: string) => ({ client: 'a device', origin: 'log', size, root, begin: 1, end: 2 });
const two = () => text(nodeHash(a ?? assert.fail(), b ?? assert.fail()));

test('checkpoints of one log have no problem', () => {
  const three = nodeHash(Buffer.from(two(), 'base64'), c ?? assert.fail());
  assert.deepEqual(
    checkpointProblems([seen(1, text(a)), seen(2, two()), seen(2, two()), seen(3, text(three))], log),
    [],
  );
});

test('is found: a fork of the log, an entry that was rewritten, and one that was lost', () => {
  const [fork = ''] = checkpointProblems([seen(2, two()), seen(2, text(a))], log);
  assert.match(fork, /the log is forked: 2 checkpoints of 2 entries differ/);
  const [rewritten = ''] = checkpointProblems([seen(1, text(b))], log);
  assert.match(rewritten, /a device saw a log of 1 entries that is no beginning/);
  const [lost = ''] = checkpointProblems([seen(4, text(a))], log);
  assert.match(lost, /saw a log of 4 entries, and only 3 are left/);
});

test('a history has the order of begins and ends, and an answer that was lost has no end', async () => {
  const history = new History();
  const gate = Promise.withResolvers<void>();
  const slow = history.record({ client: 'slow', asked: 'key', device: 'press-1' }, async () => {
    await gate.promise;
    return 'lost';
  });
  await history.record({ client: 'nobody', asked: 'key', device: 'press-1' }, async () => 'nothing');
  await history.record({ client: 'fast', asked: 'quarantine', device: 'press-1' }, async () => ({ kind: 'done' }));
  gate.resolve();
  await slow;
  const [fast, lost] = history.operations;
  assert.deepEqual([fast?.begin, fast?.end, fast?.mark], [3, 4, 'operation 3']);
  assert.deepEqual([lost?.begin, lost?.end, lost?.answer], [1, undefined, undefined]);
});
