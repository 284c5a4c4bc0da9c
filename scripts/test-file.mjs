// Runs one test file, or several together, in a separate process group and returns the result. A file that does not end is killed, and so is every process that
// it left running; both count as a failure of that file, by name.
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** Time for one test of a file; node:test stops it, if its event loop allows. */
const testMilliseconds = 480_000;
/** Time for a process that ends because its parent did, such as a guard whose socket closed. */
const leftoverMilliseconds = 10_000;
const pollMilliseconds = 50;

const running = new Set();

/** Kills every running file, with everything that it started. */
export function endAll() {
  for (const { pid, mark } of running) kill(processesOf(pid, mark), pid);
}

/**
 * Resolves with `{ file, output, tests, problems, milliseconds }`; `tests` are `{ outcome: 'passed' | 'failed' | 'skipped', name, why }`
 * with the `file` of each where there are several, and `problems` are the faults of the process as a whole.
 */
export async function runTestFiles(files, { cwd, env, flags, seconds }) {
  const [first] = files;
  const isOne = files.length === 1;
  const file = isOne ? first : `${files.length} files from ${first} on`;
  const began = performance.now();
  // Finds processes that the file started even after they left the process group, and those of a runner that it started.
  const mark = randomUUID();
  const folder = mkdtempSync(join(tmpdir(), 'edgekeep-report-'));
  const report = join(folder, 'report');
  const child = start(files, { cwd, env, flags, mark, report });
  const entry = { pid: child.pid, mark };
  running.add(entry);
  const output = [];
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => output.push(chunk));
  const problems = [];
  const timer = setTimeout(() => {
    problems.push(`did not end within ${seconds} s and was ended`);
    kill(processesOf(child.pid, mark), child.pid);
  }, seconds * 1_000);
  const closed = new Promise((resolve) => child.once('close', resolve));
  const ended = await new Promise((resolve) => {
    child.once('error', (error) => resolve({ error }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  clearTimeout(timer);
  const left = await leftovers(child.pid, mark);
  if (left.length > 0) problems.push(`left running: ${left.map(({ name, pid }) => `${name} (${pid})`).join(', ')}`);
  kill(left, child.pid);
  // A killed process lives on until the kernel has taken it apart.
  if (left.length > 0) await leftovers(child.pid, mark);
  running.delete(entry);
  // The processes that held the pipes are gone now.
  const waiting = new AbortController();
  await Promise.race([closed, delay(1_000, undefined, waiting).catch(() => undefined)]);
  waiting.abort();
  const { tests: reported, isWhole, held } = parseReport(report);
  const tests = isOne ? reported : reported.map(ofItsFile);
  rmSync(folder, { recursive: true, force: true });
  if (held !== undefined)
    problems.push(`was ended: its tests were done, and something that they started still ran: ${held.why}`);
  if (problems.length === 0) problems.push(...problemsOf(ended, tests, isWhole));
  const milliseconds = Math.round(performance.now() - began);
  return { file, output: Buffer.concat(output).toString('utf8'), tests, problems, milliseconds };
}

function start(files, { cwd, env, flags, mark, report }) {
  const program = files.length === 1 ? files : [fileURLToPath(new URL('test-together.mjs', import.meta.url)), ...files];
  const reporters = [
    '--test-reporter=spec',
    '--test-reporter-destination=stdout',
    `--test-reporter=${fileURLToPath(new URL('test-reporter.mjs', import.meta.url))}`,
    `--test-reporter-destination=${report}`,
  ];
  const preload = `--import=${new URL('test-end.mjs', import.meta.url).href}`;
  const words = [preload, ...reporters, `--test-timeout=${testMilliseconds}`, ...flags, ...program];
  return spawn(process.execPath, words, {
    cwd,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...env,
      EDGEKEEP_TEST_REPORT: report,
      EDGEKEEP_TEST_RUNNER: String(process.pid),
      EDGEKEEP_TEST_RUN: `${env.EDGEKEEP_TEST_RUN ?? ''} ${mark}`,
    },
  });
}

function problemsOf(ended, tests, isWhole) {
  if (ended.error !== undefined || !isWhole) return [`ended before its tests did: ${endText(ended)}`];
  const failed = tests.some(({ outcome }) => outcome === 'failed');
  return ended.code !== 0 && !failed ? [`ended with ${endText(ended)}`] : [];
}

// test-together.mjs makes a suite of each file.
function ofItsFile({ name, ...rest }) {
  const [file, ...path] = name.split(' > ');
  return { ...rest, file, name: path.join(' > ') };
}

function endText({ error, code, signal }) {
  if (error !== undefined) return error.message;
  return signal === null ? `exit code ${code}` : signal;
}

function parseReport(file) {
  const lines = readText(file)
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'));
  const entries = lines.map((line) => JSON.parse(line));
  const tests = entries.filter(({ outcome }) => outcome !== 'end' && outcome !== 'held');
  const find = (wanted) => entries.find(({ outcome }) => outcome === wanted);
  return { tests, isWhole: find('end') !== undefined, held: find('held') };
}

// A file that ended immediately left none.
function readText(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

async function leftovers(group, mark) {
  for (let waited = 0; waited < leftoverMilliseconds; waited += pollMilliseconds) {
    if (processesOf(group, mark).length === 0) return [];
    await delay(pollMilliseconds);
  }
  return processesOf(group, mark);
}

/** Living processes of the group, or with the mark in their environment. */
function processesOf(group, mark) {
  const found = [];
  for (const folder of readdirSync('/proc')) {
    if (!/^\d+$/.test(folder)) continue;
    try {
      const stat = readFileSync(`/proc/${folder}/stat`, 'latin1');
      const [state, , processGroup] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
      if (state === 'Z' || state === 'X') continue;
      const isOurs = Number(processGroup) === group || readFileSync(`/proc/${folder}/environ`, 'latin1').includes(mark);
      if (isOurs) found.push({ pid: Number(folder), name: stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')')) });
    } catch {
      // Gone meanwhile, or another user's: not started here.
    }
  }
  return found;
}

function kill(processes, group) {
  for (const pid of [...processes.map((process) => process.pid), -group]) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
}
