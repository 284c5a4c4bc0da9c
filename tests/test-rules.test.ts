// Rules for every test: a busy machine changes how long it takes and never how it ends, and it stops what it starts.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const folders = [
  'tests',
  'bench',
  ...['core', 'host', 'hardware', 'wire', 'guard', 'hub', 'agent', 'cli', 'sim'].map((room) => `${room}/src`),
];

interface TestSource {
  readonly path: string;
  /** Without comments. */
  readonly text: string;
}

const sources: readonly TestSource[] = folders
  .flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
  )
  .filter((path) => path.endsWith('.test.ts') || /^tests\/.*\.ts$/.test(path))
  .filter((path) => path !== 'tests/test-rules.test.ts' && !path.includes('/node_modules/'))
  .map((path) => ({ path, text: readFileSync(join(root, path), 'utf8').replaceAll(/^\s*\/\/.*$/gm, '') }));

function linesWith(
  pattern: RegExp,
  isAllowed: (path: string, line: string) => boolean = () => false,
): readonly string[] {
  return sources.flatMap(({ path, text }) =>
    text
      .split('\n')
      .filter((line) => pattern.test(line) && !isAllowed(path, line))
      .map((line) => `${path}: ${line.trim()}`),
  );
}

test('there are tests to look at', () => {
  assert.ok(sources.length > 150, `found ${sources.length}`);
});

test('no test asserts on how much time passed: figures belong in bench/', () => {
  const clock = String.raw`(?:performance|Date)\.now\(\)`;
  const measured = new RegExp(
    `${clock}\\s*-[^,)]|-\\s*${clock}|${clock}\\s*[<>]|(?<!=)[<>]=?\\s*${clock}|=\\s*performance\\.now\\(\\)`,
  );
  // The life of a token is compared with a clock, not with the time that a test took.
  const isLife = (_: string, line: string) => /expiresAt > Date\.now\(\)/.test(line);
  assert.deepEqual(linesWith(measured, isLife), []);
});

/** A hub is killed at a random moment; a hub, a server and their clients try again a little later; a state without an event is polled; a relay is far away. */
const mayPause = new Set([
  'tests/attacks/relay.test.ts',
  'tests/authorities/killed.system.test.ts',
  'tests/boots/machine.ts',
  'tests/faults/approval-killed.system.test.ts',
  'tests/main-job/predict.ts',
  'tests/secure-element.system.test.ts',
  'tests/support/check-ins.ts',
  'tests/support/faults/clients.ts',
  'tests/support/faults/fleet.ts',
  'tests/support/faults/nodes.ts',
  'tests/support/faults/postgres-server.ts',
]);

test('no test sleeps, but to kill a hub at a moment that nobody chose, or between two looks', () => {
  const sleeps = /\bsetTimeout\b.*from 'node:timers\/promises'|new Promise\(\(?\w*\)? => setTimeout\(/;
  assert.deepEqual(
    linesWith(sleeps, (path) => mayPause.has(path)),
    [],
  );
});

test('no test has so little time that a busy machine makes it fail', () => {
  const minSeconds = 120;
  const short = linesWith(/\btimeout: ?[0-9_]+/).filter((line) => {
    const [, digits = ''] = /\btimeout: ?([0-9_]+)/.exec(line) ?? [];
    return Number(digits.replaceAll('_', '')) < minSeconds * 1_000;
  });
  assert.deepEqual(short, []);
});

test('hubs, loops and programs that a test starts are stopped when it ends, also when it fails', () => {
  const starts = /\bHubProcess\.start\(|\bnew Asker\(|\bDeviceLink\.open\(|\bSealedHub\.make\(/;
  const isStopped = (_: string, line: string) =>
    /await using |\.use\(|\bkeep\(|\breturn |=> *(?:\w+\.)?(?:HubProcess|DeviceLink)|rejects\(/.test(line);
  assert.deepEqual(linesWith(starts, isStopped), []);
});

test('worlds that a file opens for all of its tests are closed by a hook', () => {
  const opens = /^\s+(?:\w+ = |await Promise\.all\(\[)\(?await (?:HubWorld|JobWorld|TpmWorld|SoftwareWorld)\.open\(/m;
  const closes = /\bafter(?:Each)?\(|using /;
  assert.deepEqual(
    sources.filter(({ text }) => opens.test(text) && !closes.test(text)).map(({ path }) => path),
    [],
  );
});
