// `edgekeep hub restore`, spec/platform-secrets.md: a data folder from a backup. The file may come from anywhere: nothing is written outside the folder, and
// the folder is a hub only when everything was whole.
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubError } from '../error.ts';
import { type HubSettings, parseHubSettings, settingsFileName } from '../settings.ts';
import { type BackupPart, lineBytesMost, parseFirstLine, parsePartLine } from './backup-parts.ts';
import { syncFolder } from './private-file.ts';

// Some kilobytes are all that the schema takes.
const settingsBytesMax = 1_048_576;

/** Makes `folder`, which must be missing or empty, and gives the number of parts. Throws `backup-refused`, and leaves the folder empty then. */
export async function restoreHub(file: string, folder: string): Promise<number> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if ((await readdir(folder)).length > 0) throw new HubError('backup-refused', `${folder} is not empty`);
  try {
    await using input = await open(file, 'r');
    return await restoreParts(input, file, folder);
  } catch (error) {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
    throw error;
  }
}

/** The settings in a backup, before anything is written: what they name is executed when the hub starts. */
export async function settingsIn(file: string): Promise<HubSettings> {
  await using input = await open(file, 'r');
  const { size } = await input.stat();
  const first = await readLine(input, 0);
  parseFirstLine(first.line);
  for (let at = first.next; ;) {
    const { line, next } = await readLine(input, at);
    const part = parsePartLine(line);
    if (typeof part === 'number') throw refused(`it has no ${settingsFileName}`);
    at = next + part.size;
    if (at > size) throw refused('it was cut short');
    if (part.path !== settingsFileName) continue;
    if (part.size > settingsBytesMax) throw refused(`its ${settingsFileName} is too large`);
    const bytes = Buffer.alloc(part.size);
    await input.read(bytes, 0, part.size, next);
    return parseHubSettings(JSON.parse(bytes.toString('utf8')), `${file}: ${settingsFileName}`);
  }
}

async function restoreParts(input: FileHandle, file: string, folder: string): Promise<number> {
  const { size } = await input.stat();
  const first = await readLine(input, 0);
  parseFirstLine(first.line);
  const seen = new Set<string>();
  for (let at = first.next; ;) {
    const { line, next } = await readLine(input, at);
    const part = parsePartLine(line);
    if (typeof part === 'number') {
      if (part !== seen.size || next !== size) throw refused('its last line does not fit');
      break;
    }
    if (seen.has(part.path)) throw refused(`${part.path} is in it twice`);
    if (seen.has(settingsFileName)) throw refused(`${settingsFileName} is not the last part`);
    seen.add(part.path);
    at = next + part.size;
    if (at > size) throw refused('it was cut short');
    await restorePart(file, next, part, join(folder, part.path));
  }
  for (const needed of [settingsFileName, 'hub.sqlite', 'keys/root.pem']) {
    if (!seen.has(needed)) throw refused(`it has no ${needed}`);
  }
  await syncFolder(folder);
  return seen.size;
}

async function restorePart(file: string, start: number, part: BackupPart, target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  await using output = await open(target, 'wx', 0o600);
  const hash = createHash('sha256');
  if (part.size > 0) {
    for await (const chunk of createReadStream(file, { start, end: start + part.size - 1 })) {
      hash.update(chunk);
      await output.writeFile(chunk);
    }
  }
  if (hash.digest('hex') !== part.sha256) throw refused(`${part.path} is damaged`);
  await output.sync();
}

async function readLine(input: FileHandle, at: number): Promise<{ readonly line: Uint8Array; readonly next: number }> {
  const buffer = Buffer.alloc(lineBytesMost);
  const { bytesRead } = await input.read(buffer, 0, lineBytesMost, at);
  const end = buffer.subarray(0, bytesRead).indexOf('\n');
  if (end === -1) throw refused('a line is missing or too long');
  return { line: buffer.subarray(0, end), next: at + end + 1 };
}

function refused(why: string): HubError {
  return new HubError('backup-refused', `not a whole backup: ${why}`);
}
