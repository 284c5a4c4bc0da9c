// A shell completes: bash reads the script and runs its function as it does at the tab key.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { UsageError } from '../command.ts';
import { completionOf } from './completion.ts';
import { verbs } from '../verbs.ts';

const completion = completionOf(verbs);
const argumentsOf = (...positionals: readonly string[]) => ({
  positionals,
  rest: [],
  all: () => [],
  option: () => undefined,
  required: () => '',
  flag: () => false,
});
const scriptOf = async (shell: string) => (await completion.run(argumentsOf(shell))).text;

/** What bash offers for each of the lines, whose last word is being typed. */
async function offered(lines: readonly string[]): Promise<readonly (readonly string[])[]> {
  const ask = lines.map((line) => {
    const words = ['edgekeep', ...line.split(' ')];
    return `COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _edgekeep; echo "\${COMPREPLY[*]}"`;
  });
  const script = [await scriptOf('bash'), 'complete -p edgekeep', ...ask].join('\n');
  const { stdout } = await promisify(execFile)('bash', ['--norc', '--noprofile', '-euc', script], {
    maxBuffer: 1 << 24,
  });
  const [registered, ...answers] = stdout.split('\n');
  assert.equal(registered, 'complete -o default -F _edgekeep edgekeep');
  return answers.slice(0, lines.length).map((answer) => answer.split(' ').filter((word) => word !== ''));
}

test('bash completes subjects, verbs and options, and leaves everything else to file names', async () => {
  const lines = [
    'polic',
    'root-of-trust ',
    'enroll token h',
    'enroll token list --',
    'floe encrypt ',
    'floe encrypt --key',
    'hub init --data ',
    '*',
    'nothing ',
  ];
  assert.deepEqual(await offered(lines), [
    ['policy'],
    ['list', 'block', 'unblock'],
    ['hand-over'],
    ['--operator', '--all', '--json', '--help'],
    [],
    ['--key-file'],
    [],
    [],
    [],
  ]);
});

test('bash completes every verb there is, and exactly its options', async () => {
  const names = Object.keys(verbs);
  const words = await offered(names.map((name) => name.slice(0, -1)));
  for (const [at, name] of names.entries()) assert.ok(words[at]?.includes(name.split(' ').at(-1) ?? ''), name);
  const options = await offered(names.map((name) => `${name} -`));
  for (const [at, verb] of Object.values(verbs).entries()) {
    const own = Object.keys((await verb.load(verbs)).options).map((option) => `--${option}`);
    assert.deepEqual(options[at], [...own, '--json', '--help'], names[at]);
  }
});

test('each shell has a script of its own, and another name is a usage error', async () => {
  const scripts = await Promise.all(['bash', 'zsh', 'fish'].map(scriptOf));
  assert.equal(new Set(scripts).size, 3);
  await assert.rejects(scriptOf('constructor'), UsageError);
});
