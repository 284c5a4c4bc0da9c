import assert from 'node:assert/strict';
import { test } from 'node:test';
import { helpOf } from './help.ts';
import { verbs } from './verbs.ts';

const all = await Promise.all(
  Object.entries(verbs).map(async ([name, verb]) => {
    const command = await verb.load(verbs);
    const text = helpOf(verb, command);
    // Without the usage before it, and example and exit codes after it.
    const body = text.slice(text.indexOf('\n\n'), text.search(/\n\n(?:example|exit codes): /));
    const entries = [...body.matchAll(/^ {2}(-.+?)(?: {2}|$)/gm)].map(([, term = '']) => term);
    const explained = entries.flatMap((term) => [...term.matchAll(/--([a-z0-9-]+)/g)].map(([, option = '']) => option));
    return { name, command, text, body, explained };
  }),
);
const faults = (fault: (each: (typeof all)[number]) => readonly string[]) =>
  all.flatMap((each) => fault(each).map((what) => `${each.name}: ${what}`));

test('the help of each verb explains each of its options once, and no other', () => {
  assert.ok(all.length > 100);
  const wrong = faults(({ command, explained }) => {
    const expected = [...Object.keys(command.options), 'json'].toSorted();
    return JSON.stringify(explained.toSorted()) === JSON.stringify(expected)
      ? []
      : [`${explained.join(' ')}, expected ${expected.join(' ')}`];
  });
  assert.deepEqual(wrong, []);
});

test('the usage of each verb has all options but --operator, and the words for their values', () => {
  const wrong = faults(({ command: { usage, options } }) =>
    Object.entries(options)
      .filter(([name]) => name !== 'operator')
      .filter(([name, { type }]) => !new RegExp(`--${name}${type === 'string' ? ' [^\\s\\]|)]' : ''}`).test(usage))
      .map(([name]) => name),
  );
  assert.deepEqual(wrong, []);
});

test('the help of each option that may be repeated says so, and no other does', () => {
  const wrong = faults(({ command: { options }, body }) => {
    const flat = body.replaceAll(/\n {4,}/g, ' ');
    return Object.entries(options)
      .filter(([name, { multiple = false }]) => {
        const words = new RegExp(`^ {2}--${name}(?: .*)?$`, 'm').exec(flat)?.[0] ?? '';
        return multiple !== words.includes('may be repeated');
      })
      .map(([name]) => name);
  });
  assert.deepEqual(wrong, []);
});

test('--operator and --json are the last entries of a help', () => {
  const wrong = faults(({ command, explained }) => {
    const last = Object.hasOwn(command.options, 'operator') ? ['operator', 'json'] : ['json'];
    return JSON.stringify(explained.slice(-last.length)) === JSON.stringify(last) ? [] : [explained.join(' ')];
  });
  assert.deepEqual(wrong, []);
});

test('a help has one form for a default, and one for what may be repeated', () => {
  const wrong = faults(({ body }) =>
    [
      ...body
        .replaceAll(/\s+/g, ' ')
        .matchAll(/(?<!\()\bdefault: ?[^ ]*|[;,] default [^ ]*|\(default (?!:)[^ ]*|\.\.\.|may be given|repeat it/g),
    ].map(([found]) => found),
  );
  assert.deepEqual(wrong, []);
});

test('no line of a help is wider than 100 characters, except an example and words that cannot be split', () => {
  const wrong = faults(({ body }) =>
    body.split('\n').filter((line) => line.length > 100 && line.trim().includes('  ')),
  );
  assert.deepEqual(wrong, []);
});
