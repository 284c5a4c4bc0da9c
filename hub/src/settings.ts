// The settings of the hub, joined in common/declarations.ts. `hub.json` in the data folder holds the values that differ from the defaults.
// Unknown names are refused, so that a misspelt safety setting is not ignored.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { utf8 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { brokenRulesText } from '@edgekeep/core/rule-words';
import { personText } from '@edgekeep/core/person-text';
import { othersMayWrite } from '@edgekeep/host/trusted-path';
import { z } from 'zod';
import { settingsByPresentNames } from '@edgekeep/wire/former-name';
import { hubSettings } from './common/declarations.ts';
import { HubError } from './common/error.ts';
import { formerHubSettings } from './common/former-settings.ts';

export const hubSettingsSchema = z.strictObject(hubSettings);

export type HubSettings = z.infer<typeof hubSettingsSchema>;

export const settingsFileName = 'hub.json';

/** Reads `hub.json` in the data folder; a missing file means all defaults. */
export async function readHubSettings(folder: string): Promise<HubSettings> {
  const path = join(folder, settingsFileName);
  let text: string;
  try {
    text = personText(await readFile(path), path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return hubSettingsSchema.parse({});
    if (error instanceof CoreError) throw new HubError('settings-invalid', error.message, { cause: error });
    throw error;
  }
  // It names programs to run and the location of secrets.
  const why = othersMayWrite(path);
  if (why !== undefined)
    throw new HubError(
      'settings-invalid',
      `${path} is not read: ${why}. It and its folders must be yours or root's, and writable by nobody else`,
    );
  return parseSettingsText(text, path);
}

/** The only parser of `hub.json`: an operator is shown exactly the settings that the hub uses. */
export function parseSettingsText(text: string, what: string): HubSettings {
  let value: unknown;
  try {
    value = parseJson(utf8(text), z.unknown(), what);
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('settings-invalid', cause.message, { cause });
  }
  return parseHubSettings(value, what);
}

/** The content to write to `hub.json`: a default that is not in it can be improved by a new version. */
export function encodeHubSettings(settings: HubSettings): string {
  return `${JSON.stringify(differing(settings, hubSettingsSchema.parse({})), null, 2)}\n`;
}

/** Of one machine: each node has its own. */
const ofOneNode: ReadonlySet<string> = new Set(['device', 'operator', 'estForGateways', 'unlockProgram', 'logLevel']);
const storeOfOneNode: ReadonlySet<string> = new Set(['passwordFile', 'caFile']);

/** What a new node takes over: the settings that differ from the defaults, without those of one machine. */
export function sharedSettings(settings: HubSettings): Readonly<Record<string, unknown>> {
  const differs = Object.entries(differing(settings, hubSettingsSchema.parse({})));
  const kept = differs.filter(([name]) => !ofOneNode.has(name));
  return Object.fromEntries(
    kept.map(([name, value]: [string, unknown]) => [name, name === 'store' ? without(value, storeOfOneNode) : value]),
  );
}

function without(value: unknown, names: ReadonlySet<string>): unknown {
  if (!isGroup(value)) return value;
  return Object.fromEntries(Object.entries(value).filter(([name]) => !names.has(name)));
}

// By group and name; a list counts as one value.
function differing(value: object, defaults: object): object {
  const known = new Map<string, unknown>(Object.entries(defaults));
  const kept = Object.entries(value)
    .filter(([name, each]) => !isDeepStrictEqual(each, known.get(name)))
    .map(([name, each]: [string, unknown]) => {
      const other = known.get(name);
      return [name, isGroup(each) && isGroup(other) ? differing(each, other) : each];
    });
  return Object.fromEntries(kept);
}

function isGroup(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Checks settings that did not come from the file. */
export function parseHubSettings(value: unknown, what: string): HubSettings {
  const refuse = (message: string) => new HubError('settings-invalid', message);
  const parsed = hubSettingsSchema.safeParse(settingsByPresentNames(value, formerHubSettings, { where: what, refuse }));
  if (parsed.success) return parsed.data;
  throw new HubError('settings-invalid', `${what}: ${brokenRulesText(parsed.error.issues)}`);
}
