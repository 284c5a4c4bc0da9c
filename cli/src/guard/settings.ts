// Guard settings as a file of the publisher.
import { readFile } from 'node:fs/promises';
import { parseJson } from '@edgekeep/core/json';
import { type GuardSettings, guardSettingsSchema } from '@edgekeep/core/model/guard-settings';

/** Reads guard settings written by the publisher (spec/guard.md). */
export async function readGuardSettings(file: string): Promise<GuardSettings> {
  return parseJson(await readFile(file), guardSettingsSchema, `guard settings ${file}`);
}
