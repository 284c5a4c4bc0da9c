// Lines of progress, which have control sequences of their own.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransferProgress } from './transfer-progress.ts';

const hostile = '\u001b[2J\u202emoc.evil\r';

// SECURITY.md: HUB-102
test('names and messages of others reach the terminal as escapes, and the line of progress as it is', () => {
  let output = '';
  let nowMs = 0;
  const write = (text: string) => void (output += text);
  const progress = new TransferProgress({ isTerminal: true, write }, hostile, 1_000, () => nowMs);
  nowMs = 1_000;
  progress.add(500);
  progress.say(`the hub says ${hostile}`);
  assert.equal(output.split(String.raw`\u001b[2J\u202emoc.evil\u000d`).length, 3, JSON.stringify(output));
  assert.ok(!output.includes('\u202e') && !output.includes('\u001b[2J'));
  assert.ok(output.startsWith('\r  ') && output.includes('50 %') && output.includes('\u001b[K'));
});
