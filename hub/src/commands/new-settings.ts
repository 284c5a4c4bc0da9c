// The settings of a new hub or node, from the words of `hub init` and `hub join`.
import { resolve } from 'node:path';
import { utf8 } from '@edgekeep/core/bytes';
import { parseStoreUrl } from '@edgekeep/core/canonical/store-url';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { HubError } from '../common/error.ts';
import { type HubSettings, parseHubSettings } from '../settings.ts';
import { terminalAsk, withIdentity } from './identity-settings.ts';

// Settings for a new hub; an older hub does not have them until an operator sets them.
const newHubSettings = { attestation: { coveredPcrs: [14] }, pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 14] };

/** As they were given; undefined where they were not. */
interface Given {
  readonly settings?: string | undefined;
  readonly name?: readonly string[] | undefined;
  readonly store?: string | undefined;
  readonly 'store-password-file'?: string | undefined;
  readonly 'store-ca'?: string | undefined;
}

/** Asks a person at the terminal for a name, unless the answer is for a program (`json`). */
export async function newSettings(
  values: Given,
  program: readonly string[] | undefined,
  json: boolean,
): Promise<HubSettings> {
  const given = withStore(values.settings === undefined ? {} : parseSettings(values.settings), values);
  const named = values.name === undefined ? given : { ...given, names: values.name };
  if (values.name !== undefined && 'names' in given)
    throw new HubError('request-invalid', 'the names are given by --name or in --settings, not both');
  const namesFrom = values.settings === undefined && values.name !== undefined ? '--name' : '--settings';
  const whole = await withIdentity(named, json ? undefined : terminalAsk(), { namesFrom });
  return parseHubSettings(
    { ...newHubSettings, ...whole, ...(program === undefined ? {} : { unlockProgram: program }) },
    '--settings',
  );
}

/** What the words of `hub join` say about this machine: its listeners, its unlock program, and how it reaches the store. */
export function nodeSettings(values: Given, program: readonly string[]): Readonly<Record<string, unknown>> {
  const { store: url, 'store-password-file': passwordFile, 'store-ca': caFile } = values;
  const given = values.settings === undefined ? {} : parseSettings(values.settings);
  const store = {
    ...(url !== undefined && { url }),
    ...(passwordFile !== undefined && { passwordFile: resolve(passwordFile) }),
    ...(caFile !== undefined && { caFile: resolve(caFile) }),
  };
  return { ...given, ...(program.length > 0 && { unlockProgram: program }), store };
}

function withStore(given: Readonly<Record<string, unknown>>, values: Given): Readonly<Record<string, unknown>> {
  const { store: url, 'store-password-file': passwordFile, 'store-ca': caFile } = values;
  if (url === undefined) {
    if (passwordFile === undefined && caFile === undefined) return given;
    throw new HubError(
      'request-invalid',
      '--store-password-file and --store-ca are about the server that --store URL names',
    );
  }
  if ('store' in given)
    throw new HubError('request-invalid', 'the store is given by --store or in --settings, not both');
  const address = parseStoreUrl(url);
  if (address.kind === 'refused') throw new HubError('request-invalid', `--store: ${address.why}`);
  const files = {
    ...(passwordFile !== undefined && { passwordFile: resolve(passwordFile) }),
    ...(caFile !== undefined && { caFile: resolve(caFile) }),
  };
  return { ...given, store: { url, ...files } };
}

function parseSettings(text: string): Readonly<Record<string, unknown>> {
  try {
    return parseJson(utf8(text), z.looseObject({}), '--settings');
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new HubError('settings-invalid', `${cause.message}: it takes a JSON object (docs/settings.md)`, { cause });
  }
}
