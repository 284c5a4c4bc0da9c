// `edgekeep hub restore`, spec/platform-secrets.md: a data folder from a backup. The file may come from anywhere: nothing is written
// outside the folder, and the folder becomes a hub only when everything is complete.
import { makeFolder } from '@edgekeep/host/make-folder';
import { sha256Hex } from '@edgekeep/core/digest';
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubError } from '../common/error.ts';
import { type HubSettings, parseSettingsText, settingsFileName } from '../settings.ts';
import { type BackupPart, LINE_BYTES_MAX, parseFirstLine, parsePartLine } from './backup-parts.ts';
import { syncFolder } from '@edgekeep/host/durable-file';

// The schema takes only some kilobytes.
const SETTINGS_BYTES_MAX = 1_048_576;
const chunkBytes = 1_048_576;

/** Agrees to the program that the settings name, or throws. */
export type Agree = (settings: HubSettings) => Promise<void>;

/**
 * Makes `folder`, which must be missing or empty, and returns the number of parts. `agree` sees the settings before anything is written,
 * and exactly these settings are restored. Throws `backup-refused`, and then leaves the folder empty.
 */
export async function restoreHub(file: string, folder: string, agree: Agree = executesNothing): Promise<number> {
  // From here on one open file, even if the name points to another one later.
  await using input = await open(file, 'r');
  const shown = await settingsIn(input, file);
  await agree(shown.settings);
  await makeFolder(folder, { mode: 0o700 });
  if ((await readdir(folder)).length > 0) throw new HubError('backup-refused', `${folder} is not empty`);
  try {
    return await restoreParts(input, folder, shown.sha256);
  } catch (error) {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
    throw error;
  }
}

async function executesNothing({ unlockProgram }: HubSettings): Promise<void> {
  if (unlockProgram.length > 0)
    throw new HubError('backup-refused', 'it names a program to be executed (unlockProgram)');
}

// The settings before anything is written: the hub executes the program that they name when it starts.
async function settingsIn(input: FileHandle, file: string): Promise<{ settings: HubSettings; sha256: string }> {
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
    if (part.size > SETTINGS_BYTES_MAX) throw refused(`its ${settingsFileName} is too large`);
    const bytes = Buffer.concat(await Array.fromAsync(chunksOf(input, next, part.size), (chunk) => Buffer.from(chunk)));
    if (sha256Hex(bytes) !== part.sha256) throw refused(`${part.path} is damaged`);
    const settings = parseSettingsText(bytes.toString('utf8'), `${file}: ${settingsFileName}`);
    return { settings, sha256: part.sha256 };
  }
}

async function restoreParts(input: FileHandle, folder: string, settingsSha256: string): Promise<number> {
  const { size } = await input.stat();
  const first = await readLine(input, 0);
  parseFirstLine(first.line);
  const seen = new Set<string>();
  for (let at = first.next; ;) {
    const { line, next } = await readLine(input, at);
    const part = parsePartLine(line);
    if (typeof part === 'number') {
      if (part !== seen.size || next !== size) throw refused('its last line does not match');
      break;
    }
    if (seen.has(part.path)) throw refused(`${part.path} is in it twice`);
    if (seen.has(settingsFileName)) throw refused(`${settingsFileName} is not the last part`);
    // The same length at the same place could hold another program.
    if (part.path === settingsFileName && part.sha256 !== settingsSha256)
      throw refused(`its ${settingsFileName} was changed while it was restored: look at it again`);
    seen.add(part.path);
    at = next + part.size;
    if (at > size) throw refused('it was cut short');
    await restorePart(input, next, part, join(folder, part.path));
  }
  for (const needed of [settingsFileName, 'hub.sqlite', 'keys/root.pem']) {
    if (!seen.has(needed)) throw refused(`it has no ${needed}`);
  }
  await syncFolder(folder);
  return seen.size;
}

async function restorePart(input: FileHandle, start: number, part: BackupPart, target: string): Promise<void> {
  await makeFolder(dirname(target), { mode: 0o700 });
  await using output = await open(target, 'wx', 0o600);
  const hash = createHash('sha256');
  for await (const chunk of chunksOf(input, start, part.size)) {
    hash.update(chunk);
    await output.writeFile(chunk);
  }
  if (hash.digest('hex') !== part.sha256) throw refused(`${part.path} is damaged`);
  await output.sync();
}

/** The bytes of a part; a chunk is valid until the next one is requested. */
async function* chunksOf(input: FileHandle, start: number, size: number): AsyncGenerator<Uint8Array> {
  const buffer = Buffer.alloc(Math.min(size, chunkBytes));
  for (let at = start; at < start + size;) {
    const { bytesRead } = await input.read(buffer, 0, Math.min(buffer.length, start + size - at), at);
    if (bytesRead === 0) throw refused('it was cut short');
    yield buffer.subarray(0, bytesRead);
    at += bytesRead;
  }
}

async function readLine(input: FileHandle, at: number): Promise<{ readonly line: Uint8Array; readonly next: number }> {
  const buffer = Buffer.alloc(LINE_BYTES_MAX);
  const { bytesRead } = await input.read(buffer, 0, LINE_BYTES_MAX, at);
  const end = buffer.subarray(0, bytesRead).indexOf('\n');
  if (end === -1) throw refused('a line is missing or too long');
  return { line: buffer.subarray(0, end), next: at + end + 1 };
}

function refused(why: string): HubError {
  return new HubError('backup-refused', `not a whole backup: ${why}`);
}
