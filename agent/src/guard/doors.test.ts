import assert from 'node:assert/strict';
import { link, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Door, GuardDoors, listening, removeLeftDoors } from './doors.ts';

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'edgekeep-doors-'));
  try {
    await use(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A socket as a killed agent leaves it: it has its name, and nothing listens. */
async function leave(path: string): Promise<void> {
  const server: Server = createServer();
  await listening(server, { path: `${path}~` });
  await link(`${path}~`, path);
  await new Promise((resolve) => server.close(resolve));
}

test('every name that doors have before they are public is one that the next start removes', async () => {
  await inFolder(async (folder) => {
    const doors = await GuardDoors.make(folder, true);
    const door = await Door.listen(folder, 0o600);
    try {
      assert.notDeepEqual(await readdir(folder), []);
      await removeLeftDoors(folder);
      assert.deepEqual(await readdir(folder), []);
    } finally {
      doors[Symbol.dispose]();
      door[Symbol.dispose]();
    }
  });
});

test('sockets of any killed agent and links to units are removed, public sockets and other files are not', async () => {
  await inFolder(async (folder) => {
    for (const name of ['.4s7-0', '.zz-12n', '.4s7-l0', 'light.sock']) await leave(join(folder, name));
    await symlink('/run/edgekeep-guard/a/local.sock', join(folder, '.4s7-link'));
    await writeFile(join(folder, '.4s7-1'), 'no socket');
    await mkdir(join(folder, '.4s7-2'));
    await removeLeftDoors(folder);
    assert.deepEqual((await readdir(folder)).toSorted(), ['.4s7-1', '.4s7-2', 'light.sock']);
  });
});
