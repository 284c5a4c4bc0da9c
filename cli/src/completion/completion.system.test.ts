// zsh and fish complete: each reads the script from where its help says, and is asked as it is at the tab key.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { skipWithout } from '@edgekeep/hardware/tpm/testing';
import { verbs } from '../verbs.ts';
import { completionOf } from './completion.ts';

const completion = completionOf(verbs);
const scriptOf = async (shell: string) => {
  const nothing = { rest: [], all: () => [], option: () => undefined, required: () => '', flag: () => false };
  return (await completion.run({ ...nothing, positionals: [shell] })).text;
};

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-completion-'));
  for (const name of ['here', 'functions', 'bin']) await mkdir(join(folder, name));
  await writeFile(join(folder, 'here', 'operator.json'), '{}');
  // fish completes the programs that there are.
  await writeFile(join(folder, 'bin', 'edgekeep'), '#!/bin/sh\n', { mode: 0o755 });
});
after(() => rm(folder, { recursive: true, force: true }));

type Offered = readonly (readonly string[])[];
/** In a folder with one file, `operator.json`, and without settings of the person who runs the tests. */
const ask = async (shell: string, args: readonly string[]): Promise<string> => {
  const path = `${join(folder, 'bin')}:${process.env['PATH']}`;
  const env = { PATH: path, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder, TERM: 'dumb' };
  const { stdout } = await promisify(execFile)(shell, args, { cwd: join(folder, 'here'), env, maxBuffer: 1 << 24 });
  return stdout;
};
const linesOf = (text: string) => text.split('\n').filter((line) => line !== '');

/** A line for each kind of word, with what a shell offers for the last one. */
const expected: readonly (readonly [string, readonly string[]])[] = [
  ['polic', ['policy']],
  ['root-of-trust ', ['list', 'block', 'unblock']],
  ['enroll token h', ['hand-over']],
  ['enroll token list --', ['--operator', '--all', '--json', '--help']],
  ['enroll token --de', ['--device']],
  ['floe encrypt --key', ['--key-file']],
];
const sorted = (offered: Offered) => offered.map((words) => words.toSorted());
const lines = expected.map(([line]) => line);
const wanted = sorted(expected.map(([, words]) => words));

// What compadd takes is written down, in the line editor of a shell that runs in a terminal of its own.
const zshSetup = `
PROMPT='' RPROMPT=''
bindkey -e
setopt noautolist nobeep
autoload -Uz compinit
compinit -u -D
compadd() {
  local -a taken
  builtin compadd -O taken "$@"
  print -rl -- $taken >> $answers
  builtin compadd "$@"
}
finish() { print -r -- '=' >> $answers; BUFFER=''; print 'do''ne' }
zle -N finish
bindkey '^G' finish
print 'rea''dy'
`;
const zshAsking = `
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "fpath=($1/functions \\$fpath) answers=$1/answers; source $1/setup"
zpty -r inner seen '*ready*'
shift
for line; do
  zpty -w -n inner "edgekeep $line"$'\\t\\a'
  zpty -r inner seen '*done*'
done
zpty -d inner
`;

async function offeredByZsh(asked: readonly string[]): Promise<Offered> {
  await writeFile(join(folder, 'functions', '_edgekeep'), await scriptOf('zsh'));
  await writeFile(join(folder, 'setup'), zshSetup);
  await writeFile(join(folder, 'answers'), '');
  await ask('zsh', ['-f', '-c', zshAsking, 'zsh', folder, ...asked]);
  const answers = (await readFile(join(folder, 'answers'), 'utf8')).split('=\n');
  return answers.slice(0, asked.length).map(linesOf);
}

describe('zsh', { skip: await skipWithout('zsh') }, () => {
  test('zsh completes a subject, a verb and an option, from the first tab on', async () => {
    assert.deepEqual(sorted(await offeredByZsh(lines)), wanted);
  });

  test('zsh completes file names where no word of ours can be', async () => {
    assert.deepEqual(await offeredByZsh(['hub init --data ', 'floe encrypt ']), [['operator.json'], ['operator.json']]);
  });

  test('zsh completes every verb there is, and exactly its options', async () => {
    const names = Object.keys(verbs);
    const words = await offeredByZsh(names.map((name) => name.slice(0, -1)));
    for (const [at, name] of names.entries()) assert.ok(words[at]?.includes(name.split(' ').at(-1) ?? ''), name);
    await assertOptions(await offeredByZsh(names.map((name) => `${name} --`)));
  });
});

async function offeredByFish(asked: readonly string[]): Promise<Offered> {
  const completions = join(folder, 'fish', 'completions');
  await mkdir(completions, { recursive: true });
  await writeFile(join(completions, 'edgekeep.fish'), await scriptOf('fish'));
  const asking = `for line in $argv; complete -C "edgekeep $line"; echo =; end`;
  const answers = (await ask('fish', ['-c', asking, ...asked])).split('=\n');
  return answers.slice(0, asked.length).map((each) => linesOf(each).map((line) => line.split('\t')[0] ?? ''));
}

describe('fish', { skip: await skipWithout('fish') }, () => {
  test('fish completes a subject, a verb and an option', async () => {
    assert.deepEqual(sorted(await offeredByFish(lines)), wanted);
  });

  test('fish completes file names where no word of ours can be', async () => {
    assert.deepEqual(await offeredByFish(['hub init --data ', 'floe encrypt ']), [
      ['operator.json'],
      ['operator.json'],
    ]);
  });

  test('fish completes every verb there is, and exactly its options', async () => {
    const names = Object.keys(verbs);
    const words = await offeredByFish(names.map((name) => name.slice(0, -1)));
    for (const [at, name] of names.entries()) assert.ok(words[at]?.includes(name.split(' ').at(-1) ?? ''), name);
    await assertOptions(await offeredByFish(names.map((name) => `${name} --`)));
  });
});

async function assertOptions(offered: Offered): Promise<void> {
  for (const [at, [name, verb]] of Object.entries(verbs).entries()) {
    const own = Object.keys((await verb.load(verbs)).options).map((option) => `--${option}`);
    assert.deepEqual(offered[at]?.toSorted(), [...own, '--json', '--help'].toSorted(), name);
  }
}
