// Machines as they are: a read-only root without /tmp, a small /dev/shm as in containers, paths that are too long for sockets, files that an editor
// saved in its own way, no HOME. Real agents as processes; the mounts are in a namespace of their own.
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, test } from 'node:test';
import { findProgram } from '@edgekeep/cli/program';
import { z } from 'zod';
import { edgekeep } from '../main-job/edgekeep.ts';
import { ending } from '../support/child.ts';
import { closeAll } from '../support/closing.ts';
import { HubWorld } from '../support/hub-world.ts';
import { skipWithoutSmallDisk } from '../support/small-disk.ts';
import { allowSoftware } from '../support/test-agent.ts';

const skip = await skipWithoutSmallDisk();
const agentMain = findProgram('@edgekeep/agent/main').file;
const settings = z.looseObject({ models: z.array(z.unknown()) });
const event = z.looseObject({ kind: z.string() });
const failure = z.object({ error: z.object({ code: z.string(), message: z.string() }) });
let world: HubWorld;
let folder: string;

before(async () => {
  world = await HubWorld.open();
  await allowSoftware(world);
  await world.publishModel('belt', '1.0.0', 'w'.repeat(2 * 1024 * 1024));
  folder = await mkdtemp(join(tmpdir(), 'edgekeep-machine-'));
});
after(async () => {
  await closeAll(world);
  await rm(folder, { recursive: true, force: true });
});

/** The state folder of a device that has not enrolled yet. */
async function kit(id: string, models: readonly object[] = []): Promise<string> {
  const state = join(folder, id);
  const made = await edgekeep('enroll', 'kit', id, '--out', state, '--software', '--operator', world.operatorFile);
  assert.equal(made.code, 0, made.stderr);
  const file = join(state, 'agent.json');
  const given = settings.parse(JSON.parse(await readFile(file, 'utf8')));
  await writeFile(file, JSON.stringify({ ...given, models, checkinSeconds: 1 }));
  return state;
}

type Agent = ChildProcessByStdio<null, Readable, Readable>;

/** The first event of this kind. Fails with what the agent said when it ends before that. */
async function eventOf(agent: Agent, kind: string): Promise<z.infer<typeof event>> {
  const said = text(agent.stderr);
  const seen: string[] = [];
  for await (const line of createInterface({ input: agent.stdout })) {
    const told = event.parse(JSON.parse(line));
    if (told.kind === kind) return told;
    seen.push(line);
  }
  throw new Error(`no ${kind}: ${seen.join('\n')} ${await said}`);
}

/** The one line of an agent that does not start. */
async function refusalOf(state: string): Promise<z.infer<typeof failure>['error'] & { readonly exit: number | null }> {
  const agent = spawn(process.execPath, [agentMain, '--state', state], { stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(agent);
  agent.stdout.resume();
  const exit = new Promise<number | null>((resolve) => agent.once('exit', resolve));
  const line = await text(agent.stderr);
  return { ...failure.parse(JSON.parse(line)).error, exit: await exit };
}

// In a mount namespace of its own. $1: an empty folder. $2: the state folder, which alone is writable there, as /run/agent. $3…: the agent.
const readOnlyRoot = `set -eu
new=$1
state=$2
shift 2
mount --make-rprivate /
mount --rbind / "$new"
mount -o remount,bind,ro "$new"
mount -t tmpfs run "$new/run"
cp -a "$state" "$new/run/agent"
case "$PWD" in
  /tmp/*) mount -o remount,bind,ro "$new/tmp" 2>/dev/null || true ;;
  *) mount -t tmpfs -o ro none "$new/tmp" ;;
esac
if chroot "$new" sh -c ': >/tmp/probe || : >/probe || : >/var/tmp/probe' 2>/dev/null; then exit 9; fi
exec chroot "$new" env -i "PATH=$PATH" "$@" --state /run/agent
`;

test(
  'agent and guard run on a read-only root without /tmp and HOME, where the state folder alone is writable',
  { skip },
  async () => {
    const state = await kit('read-only', [{ name: 'belt', use: 'guard' }]);
    const root = await mkdtemp(join(folder, 'root-'));
    const words = ['-m', 'sh', '-c', readOnlyRoot, 'sh', root, state, process.execPath, agentMain];
    const agent = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    await using _ = ending(agent);
    const { missing } = z.looseObject({ missing: z.array(z.string()) }).parse(await eventOf(agent, 'guard-walls'));
    // The helper is built where there is a compiler.
    assert.deepEqual(
      missing.filter((wall) => !['system-calls', 'landlock'].includes(wall)),
      [],
    );
  },
);

test(
  'a model that does not fit into /dev/shm is named before its key is asked for, with what to do',
  { skip },
  async () => {
    const state = await kit('small-shm', [{ name: 'belt', use: 'program' }]);
    const small = 'mount --make-rprivate / && mount -t tmpfs -o size=1m shm /dev/shm && exec "$@"';
    const words = ['-m', 'sh', '-c', small, 'sh', process.execPath, agentMain, '--state', state];
    const agent = spawn('unshare', words, { stdio: ['ignore', 'pipe', 'pipe'] });
    await using _ = ending(agent);
    const refused = await eventOf(agent, 'model-refused');
    assert.deepEqual([refused['code'], refused['place'], refused['final']], ['shared-memory-short', 'check', false]);
    assert.match(String(refused['why']), /belt takes 2097152 bytes of \/dev\/shm, \d+ are free: .*--shm-size/);
    const entries = await world.entries('key-released');
    assert.deepEqual(
      entries.filter(({ subject }) => subject === 'device:small-shm'),
      [],
    );
  },
);

test('a state folder whose sockets would have too long a path is refused with the setting that helps', async () => {
  const state = await kit('long');
  const long = join(folder, 'l'.repeat(120));
  await cp(state, long, { recursive: true });
  const { code, message, exit } = await refusalOf(long);
  assert.deepEqual([code, exit], ['settings-invalid', 3]);
  assert.match(message, /at most 107 bytes, and .*: name a folder with a short path in runFolder/);
  const short = await mkdtemp(join(tmpdir(), 'run-'));
  const file = join(long, 'agent.json');
  await writeFile(
    file,
    JSON.stringify({ ...settings.parse(JSON.parse(await readFile(file, 'utf8'))), runFolder: short }),
  );
  const agent = spawn(process.execPath, [agentMain, '--state', long], { stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(agent);
  await eventOf(agent, 'enrolled');
  await rm(short, { recursive: true });
});

test('settings with a byte-order mark are read; other encodings, and an emptied file, are named', async () => {
  const state = await kit('marked');
  const file = join(state, 'agent.json');
  const given = await readFile(file, 'utf8');
  for (const [bytes, said] of [
    [Buffer.from(`\ufeff${given}`, 'utf16le'), /agent\.json is UTF-16: save it as UTF-8/],
    [Buffer.from(given, 'utf16le'), /agent\.json is UTF-16: save it as UTF-8/],
    [Buffer.from(`\ufeff${given}`, 'utf16le').swap16(), /agent\.json is UTF-16: save it as UTF-8/],
    [Buffer.alloc(0), /agent\.json is empty/],
    [Buffer.alloc(200), /agent\.json holds zeros only/],
  ] as const) {
    await writeFile(file, bytes);
    const { code, message, exit } = await refusalOf(state);
    assert.deepEqual([code, exit], ['settings-invalid', 3]);
    assert.match(message, said);
  }
  await writeFile(file, `\ufeff${given}`);
  const agent = spawn(process.execPath, [agentMain, '--state', state], { stdio: ['ignore', 'pipe', 'pipe'] });
  await using _ = ending(agent);
  await eventOf(agent, 'enrolled');
});

test('an operator file, a policy and its tests, and settings of the hub may have a byte-order mark', async () => {
  const operator = join(folder, 'operator.json');
  await writeFile(operator, `\ufeff${await readFile(world.operatorFile, 'utf8')}`, { mode: 0o600 });
  const listed = await edgekeep('device', 'list', '--operator', operator);
  assert.equal(listed.code, 0, listed.stderr);
  const policy = join(folder, 'policy.cedar');
  const shown = await edgekeep('policy', 'show', '--operator', operator);
  await writeFile(policy, `\ufeff${shown.stdout}`);
  const checked = await edgekeep('policy', 'validate', policy);
  assert.equal(checked.code, 0, checked.stderr + checked.stdout);
  await writeFile(operator, Buffer.from(await readFile(world.operatorFile, 'utf8'), 'utf16le'));
  const wide = await edgekeep('device', 'list', '--operator', operator);
  assert.match(wide.stderr, /operator file .*operator\.json is UTF-16: save it as UTF-8/);
  assert.equal(wide.code, 3);
});
