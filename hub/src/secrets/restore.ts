// `edgekeep hub restore`, spec/platform-secrets.md: a data folder from a backup. The file may come from anywhere: nothing is written
// outside the folder, and the folder becomes a hub only when everything is complete.
import { makeFolder } from '@edgekeep/host/make-folder';
import { equalBytes } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { createHash } from 'node:crypto';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HubError } from '../common/error.ts';
import { type HubSettings, parseSettingsText, settingsFileName } from '../settings.ts';
import { type BackupPart, LINE_BYTES_MAX, parseFirstLine, parsePartLine } from './backup-parts.ts';
import { type BackupOrigin, LineDigest, SIGNATURE_LINE_BYTES_MAX, verifyBackup } from './backup-signature.ts';
import { syncFolder } from '@edgekeep/host/durable-file';

// The schema takes only some kilobytes.
const SETTINGS_BYTES_MAX = 1_048_576;
const chunkBytes = 1_048_576;

/** Agrees to the program that the settings name, or throws. `origin` is who signed the backup, where that was verified. */
export type Agree = (settings: HubSettings, origin: BackupOrigin | undefined) => Promise<void>;

/** Who must have made the backup: a hub under one of these roots. `unsigned`: anybody, also for backups of the version before. */
export type BackupTrust =
  | 'unsigned'
  | {
      readonly roots: readonly Certificate[];
      /** A later key list than the one in the backup, as a file. */
      readonly newest?: Uint8Array | undefined;
    };

/**
 * Makes `folder`, which must be missing or empty, and returns the number of parts. `agree` sees the settings before anything is written, and who made
 * the backup, and exactly what was verified is restored. Throws `backup-refused`, and then leaves the folder empty.
 */
export async function restoreHub(
  file: string,
  folder: string,
  trust: BackupTrust,
  agree: Agree = executesNothing,
): Promise<number> {
  // From here on one open file, even if the name points to another one later.
  await using input = await open(file, 'r');
  const shown = await survey(input, file);
  const origin = trust === 'unsigned' ? undefined : originOf(shown, trust);
  await agree(shown.settings, origin);
  await makeFolder(folder, { mode: 0o700 });
  if ((await readdir(folder)).length > 0) throw new HubError('backup-refused', `${folder} is not empty`);
  try {
    return await restoreParts(input, folder, shown);
  } catch (error) {
    for (const name of await readdir(folder)) await rm(join(folder, name), { recursive: true });
    throw error;
  }
}

async function executesNothing({ unlockProgram }: HubSettings): Promise<void> {
  if (unlockProgram.length > 0)
    throw new HubError('backup-refused', 'it names a program to be executed (unlockProgram)');
}

interface Survey {
  readonly settings: HubSettings;
  readonly settingsSha256: string;
  /** Over every line of the backup. */
  readonly lines: Uint8Array;
  readonly signature: Uint8Array | undefined;
}

function originOf({ lines, signature }: Survey, trust: Exclude<BackupTrust, 'unsigned'>): BackupOrigin {
  if (signature === undefined)
    throw new HubError('backup-refused', 'this backup is not signed: if you know where it comes from, use --unsigned');
  return verifyBackup(signature, lines, { ...trust, nowSeconds: Math.floor(Date.now() / 1_000) });
}

// The lines and the settings before anything is written: the hub executes the program that these name when it starts.
async function survey(input: FileHandle, file: string): Promise<Survey> {
  const { size } = await input.stat();
  const lines = new LineDigest();
  const first = await readLine(input, 0);
  const { signed } = parseFirstLine(first.line);
  lines.add(first.whole);
  let found: Pick<Survey, 'settings' | 'settingsSha256'> | undefined;
  for (let at = first.next; ;) {
    const { line, whole, next } = await readLine(input, at);
    lines.add(whole);
    const part = parsePartLine(line);
    if (typeof part === 'number') {
      if (found === undefined) throw refused(`it has no ${settingsFileName}`);
      const signature = signed ? await readLine(input, next, SIGNATURE_LINE_BYTES_MAX) : undefined;
      if ((signature?.next ?? next) !== size) throw refused('its last line does not match');
      return { ...found, lines: lines.digest(), signature: signature?.line };
    }
    at = next + part.size;
    if (at > size) throw refused('it was cut short');
    if (part.path === settingsFileName && found === undefined) found = await settingsIn(input, next, part, file);
  }
}

async function settingsIn(input: FileHandle, start: number, part: BackupPart, file: string) {
  if (part.size > SETTINGS_BYTES_MAX) throw refused(`its ${settingsFileName} is too large`);
  const bytes = Buffer.concat(await Array.fromAsync(chunksOf(input, start, part.size), (chunk) => Buffer.from(chunk)));
  if (sha256Hex(bytes) !== part.sha256) throw refused(`${part.path} is damaged`);
  const settings = parseSettingsText(bytes.toString('utf8'), `${file}: ${settingsFileName}`);
  // It would go on with the store of another hub, or trust a server that a stranger named.
  if (settings.store.url !== 'sqlite')
    throw refused(`its ${settingsFileName} names a store, and the store is in the backup`);
  return { settings, settingsSha256: part.sha256 };
}

async function restoreParts(input: FileHandle, folder: string, shown: Survey): Promise<number> {
  const { size } = await input.stat();
  const lines = new LineDigest();
  const first = await readLine(input, 0);
  parseFirstLine(first.line);
  lines.add(first.whole);
  const seen = new Set<string>();
  for (let at = first.next; ;) {
    const { line, whole, next } = await readLine(input, at);
    lines.add(whole);
    const part = parsePartLine(line);
    if (typeof part === 'number') {
      if (part !== seen.size) throw refused('its last line does not match');
      break;
    }
    if (seen.has(part.path)) throw refused(`${part.path} is in it twice`);
    if (seen.has(settingsFileName)) throw refused(`${settingsFileName} is not the last part`);
    // The same length at the same place could hold another program.
    if (part.path === settingsFileName && part.sha256 !== shown.settingsSha256) throw changed(settingsFileName);
    seen.add(part.path);
    at = next + part.size;
    if (at > size) throw refused('it was cut short');
    await restorePart(input, next, part, join(folder, part.path));
  }
  if (!equalBytes(lines.digest(), shown.lines)) throw changed('content');
  for (const needed of [settingsFileName, 'hub.sqlite', 'keys/root.pem']) {
    if (!seen.has(needed)) throw refused(`it has no ${needed}`);
  }
  await syncFolder(folder);
  return seen.size;
}

function changed(what: string): HubError {
  return refused(`its ${what} was changed while it was restored: look at it again`);
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

interface Line {
  readonly line: Uint8Array;
  /** With its end. */
  readonly whole: Uint8Array;
  readonly next: number;
}

async function readLine(input: FileHandle, at: number, maxBytes = LINE_BYTES_MAX): Promise<Line> {
  const buffer = Buffer.alloc(maxBytes);
  const { bytesRead } = await input.read(buffer, 0, maxBytes, at);
  const end = buffer.subarray(0, bytesRead).indexOf('\n');
  if (end === -1) throw refused('a line is missing or too long');
  return { line: buffer.subarray(0, end), whole: buffer.subarray(0, end + 1), next: at + end + 1 };
}

function refused(why: string): HubError {
  return new HubError('backup-refused', `not a whole backup: ${why}`);
}
