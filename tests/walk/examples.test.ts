// The examples of docs/cli.md, one for each verb: the shell splits each into words, and its verb takes these words.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseArgs } from 'node:util';
import { verbs } from '@edgekeep/cli/verbs';
import { blocksOf, commandsOf } from './pages.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/cli.md'), 'utf8');

/** What belongs to the shell around a command: what it is piped into, where its output goes. */
const aroundIt = / (?:\||&&|>|2>|<) .*$/u;

function wordsOf(command: string): readonly string[] {
  const alone = command
    .replaceAll('\\\n', ' ')
    .replace(/\s#.*$/u, '')
    .replace(aroundIt, '');
  const words = execFileSync('bash', ['-c', `edgekeep() { printf '%s\\0' "$@"; }; ${alone}`], { encoding: 'utf8' });
  return words.split('\0').slice(0, -1);
}

test('each example of docs/cli.md is a command line that its verb takes', async () => {
  const examples = blocksOf(page)
    .flatMap((block) => commandsOf(block).split(/(?<!\\)\n/u))
    .filter((line) => line.startsWith('edgekeep '));
  assert.ok(examples.length > 100, `found ${examples.length}`);
  for (const example of examples) {
    const words = wordsOf(example);
    const length = [3, 2, 1].find((count) => Object.hasOwn(verbs, words.slice(0, count).join(' ')));
    const verb = length === undefined ? undefined : verbs[words.slice(0, length).join(' ')];
    assert.ok(length !== undefined && verb !== undefined, `no verb: ${example}`);
    const { options, positionals } = await verb.load(verbs);
    const rest = words.slice(length);
    // Behind the dashes are the words of another program.
    const args = rest.includes('--') ? rest.slice(0, rest.indexOf('--')) : [...rest];
    const read = parseArgs({
      args,
      options: { ...options, json: { type: 'boolean' } },
      allowPositionals: true,
      strict: true,
    });
    assert.ok(read.positionals.length >= positionals.min && read.positionals.length <= positionals.max, example);
  }
});
