// A person at a terminal: runs `node PROGRAM ARG…` on a terminal of its own and types what it asks for. Its passphrase is the same everywhere.
import { spawn } from 'node:child_process';

const passphrase = 'six words from a list indeed';
/** What a program asks, and what this person types. */
const answers: readonly (readonly [RegExp, string])[] = [
  [/passphrase[^\n]*: ?$/iu, passphrase],
  [/once more: ?$/iu, passphrase],
  [/type yes[^\n]*: ?$/iu, 'yes'],
];

const [program = '', ...words] = process.argv.slice(2);
const command = [process.execPath, program, ...words].map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
const terminal = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => terminal.kill(signal));

let unanswered = '';
terminal.stdout.on('data', (chunk: Buffer) => {
  const text = chunk.toString().replaceAll('\r', '');
  process.stdout.write(text);
  unanswered += text;
  const answer = answers.find(([question]) => question.test(unanswered));
  if (answer === undefined) return;
  unanswered = '';
  terminal.stdin.write(`${answer[1]}\n`);
});
terminal.on('exit', (code) => {
  process.exitCode = code ?? 1;
});
