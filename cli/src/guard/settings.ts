// Guard settings as a file of the publisher.
import { type GuardSettings, guardSettingsSchema } from '@edgekeep/core/model/guard-settings';
import { readJson } from '../person-file.ts';

/** Reads guard settings written by the publisher (spec/guard.md). */
export async function readGuardSettings(file: string): Promise<GuardSettings> {
  return readJson(file, guardSettingsSchema, `guard settings ${file}`);
}
