// Which HTTP proxy the agent uses on the way to its hub (spec/http-proxy.md): the one of its settings, or, where the settings say so, the one of
// its environment. The files are read for each connection: a new password needs no restart.
import { readFile } from 'node:fs/promises';
import { groupAndOthers, readPrivateFile } from '@edgekeep/host/private-file';
import {
  parseProxyCredentials,
  type Proxy,
  PROXY_CREDENTIALS_BYTES_MAX,
  type ProxyCredentials,
  proxyName,
} from '@edgekeep/wire/link/proxy/proxy';
import { type Environment, proxyVariable } from '@edgekeep/wire/link/proxy/environment';
import { namedProxy } from '@edgekeep/wire/link/proxy/settings';
import { AgentError } from '../error.ts';
import type { Emit } from '../event.ts';
import type { AgentSettings } from '../settings.ts';
import type { StateFolder } from '../state-folder.ts';

export interface ChosenProxy {
  /** For people, without credentials. */
  readonly name: string;
  /** Throws `settings-invalid` where a file cannot be used. */
  readonly read: () => Promise<Proxy>;
}

/** Undefined: directly. Emits which proxy is used, and that a proxy of the environment is not. Throws `settings-invalid`. */
export function chooseProxy(
  { hub, proxy: settings }: Pick<AgentSettings, 'hub' | 'proxy'>,
  folder: Pick<StateFolder, 'resolve'>,
  emit: Emit,
  environment: Environment = process.env,
): ChosenProxy | undefined {
  const found = namedProxy(settings, hub, environment);
  if (found === undefined) {
    const ignored = settings === undefined ? proxyVariable(environment) : undefined;
    if (ignored !== undefined) emit({ kind: 'proxy-ignored', variable: ignored });
    return undefined;
  }
  const { address, variable, credentials } = found;
  const { credentialsFile, caFile } = settings ?? {};
  const name = proxyName(address);
  emit({ kind: 'proxy', proxy: name, from: variable ?? 'agent.json' });
  return {
    name,
    read: async () => ({
      ...address,
      credentials: credentialsFile === undefined ? credentials : await readCredentials(folder.resolve(credentialsFile)),
      authoritiesPem: caFile === undefined ? undefined : [await readAuthorities(folder.resolve(caFile))],
    }),
  };
}

async function readCredentials(file: string): Promise<ProxyCredentials> {
  const what = `proxy.credentialsFile ${file}`;
  const refused = (problem: string, options?: ErrorOptions) =>
    new AgentError('settings-invalid', `${what}: ${problem}`, options);
  const rules = { maxBytes: PROXY_CREDENTIALS_BYTES_MAX, forbidden: groupAndOthers, followsLinks: true };
  const bytes = await readPrivateFile(file, rules, refused);
  if (bytes === undefined) throw refused('there is no such file');
  try {
    return parseProxyCredentials(bytes, what);
  } finally {
    bytes.fill(0);
  }
}

async function readAuthorities(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((cause: unknown) => {
    throw new AgentError('settings-invalid', `proxy.caFile ${file} cannot be read`, { cause });
  });
}
