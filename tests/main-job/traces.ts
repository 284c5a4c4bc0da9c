// Searches for what must not exist: plaintext of a model and its key, in files and in memory-backed files that a process still holds.
import { readFileSync } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { loadHubKeys } from '@edgekeep/hub/secrets/hub-keys';
import { unwrapModelKey } from '@edgekeep/hub/model/key-wrap';
import { z } from 'zod';
import type { HubWorld } from '../support/hub-world.ts';
import { rowsIn } from '../support/outside-store.ts';

const windowLength = 64;
const WINDOWS_MAX = 16;
/** Runs of zeros and of repeated weights are found anywhere and prove nothing. */
const DISTINCT_BYTES_MIN = 40;

/** Several windows of a plaintext that no other file has by chance. */
export function windowsOf(plaintext: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(plaintext);
  const step = Math.max(windowLength, Math.floor(bytes.length / (WINDOWS_MAX * 8)));
  const windows: Buffer[] = [];
  for (let at = 0; at + windowLength <= bytes.length; at += step) {
    const window = bytes.subarray(at, at + windowLength);
    if (new Set(window).size >= DISTINCT_BYTES_MIN) windows.push(window);
  }
  const every = Math.max(1, Math.floor(windows.length / WINDOWS_MAX));
  return windows.filter((_, index) => index % every === 0);
}

/** A key in raw form, and in its possible encodings. */
export function formsOf(key: Uint8Array): readonly Buffer[] {
  const bytes = Buffer.from(key);
  const texts = [bytes.toString('hex'), bytes.toString('base64').replace(/=+$/, ''), bytes.toString('base64url')];
  return [bytes, ...texts.map((text) => Buffer.from(text))];
}

/** The files below the folders that hold one of the needles. */
export async function filesWith(needles: readonly Buffer[], folders: readonly string[]): Promise<readonly string[]> {
  const found: string[] = [];
  for (const folder of folders) {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => [])) {
      const path = join(entry.parentPath, entry.name);
      // Other files come and go in shared folders meanwhile.
      const bytes = entry.isFile() ? await readFile(path).catch(() => Buffer.alloc(0)) : Buffer.alloc(0);
      if (needles.some((needle) => bytes.includes(needle))) found.push(path);
    }
  }
  return found;
}

/** The processes that hold a nameless memory file of exactly this length. */
export async function holdersOfMemoryFile(length: number): Promise<readonly number[]> {
  const holders: number[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const folder = join('/proc', name, 'fd');
    for (const descriptor of await readdir(folder).catch(() => [])) {
      const found = await stat(join(folder, descriptor)).catch(() => undefined);
      if (found?.isFile() === true && found.nlink === 0 && found.size === length) holders.push(Number(name));
    }
  }
  return holders;
}

/** Whether a process runs; one that has ended and waits to be collected does not. */
export function isAlive(processId: number): boolean {
  try {
    const text = readFileSync(`/proc/${processId}/stat`, 'latin1');
    return !/^[ZX]/.test(text.slice(text.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

/** The key of a published model, as only the hub with the platform key can get it. */
export async function modelKeyInHub(
  { hubFolder, place }: HubWorld,
  name: string,
  version: string,
): Promise<Uint8Array> {
  const sql = 'select wrapped_key, manifest_digest from model_release where name = ? and version = ?';
  const [row] = await rowsIn(place, sql, name, version);
  const { wrapped_key: wrapped, manifest_digest } = z
    .object({ wrapped_key: z.instanceof(Uint8Array), manifest_digest: z.string() })
    .parse(row);
  const { platformKey } = await loadHubKeys(hubFolder);
  return unwrapModelKey(platformKey, wrapped, { name, version, manifest_digest });
}
