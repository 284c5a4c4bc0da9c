// Whether the hub is reached through an HTTP proxy, which one, and whether it lets this machine through (spec/http-proxy.md).
import { join, resolve } from 'node:path';
import { endpointText } from '@edgekeep/core/canonical/endpoint';
import { parseJson } from '@edgekeep/core/json';
import { messageOf } from '@edgekeep/core/message-of';
import { failed, type Finding, ok, warning } from '@edgekeep/host/finding';
import { orIfMissing } from '@edgekeep/host/missing-file';
import { WireError } from '@edgekeep/wire/error';
import { type Proxy, proxyName } from '@edgekeep/wire/link/proxy/proxy';
import { proxyVariable } from '@edgekeep/wire/link/proxy/environment';
import { namedProxy, type ProxySettings, proxySettingsSchema } from '@edgekeep/wire/link/proxy/settings';
import { openTunnel } from '@edgekeep/wire/link/proxy/tunnel';
import { z } from 'zod';
import { readBounded } from '../bounded-file.ts';
import { type OperatorProxy, proxyAuthorities, proxyCredentials } from '../operator-proxy.ts';

/** From the first packet to the proxy's answer. */
const tunnelMilliseconds = 10_000;
const SETTINGS_BYTES_MAX = 1024 * 1024;

const agentSettings = z.looseObject({
  hub: z.looseObject({ host: z.string(), port: z.int().min(1).max(65_535).default(8443) }),
  proxy: proxySettingsSchema.optional(),
});

interface Target {
  readonly host: string;
  readonly port: number;
}

/** The way of the agent with this state folder; nothing where it has no settings yet. */
export async function examineAgentProxy(stateFolder: string | undefined): Promise<readonly Finding[]> {
  if (stateFolder === undefined) return [];
  const file = join(stateFolder, 'agent.json');
  const bytes = await orIfMissing(readBounded(file, SETTINGS_BYTES_MAX), undefined);
  if (bytes === undefined) return [];
  try {
    const { hub, proxy: settings } = parseJson(bytes, agentSettings, file);
    const found = await agentProxy(stateFolder, hub, settings);
    if (found === undefined) return [directly(hub, settings === undefined ? proxyVariable(process.env) : undefined)];
    const { proxy, variable } = found;
    return [await examineTunnel(proxy, hub, variable === undefined ? file : `the variable ${variable} of this shell`)];
  } catch (error) {
    return [failed('proxy', messageOf(error), `correct proxy in ${file}`)];
  }
}

/** The proxy of an agent with these settings, and the variable that named it; undefined: directly. */
export async function agentProxy(
  stateFolder: string,
  target: Target,
  settings: ProxySettings | undefined,
): Promise<{ readonly proxy: Proxy; readonly variable: string | undefined } | undefined> {
  const found = namedProxy(settings, target, process.env);
  if (found === undefined) return undefined;
  const own = (path: string | undefined) => (path === undefined ? undefined : resolve(stateFolder, path));
  const proxy = {
    ...found.address,
    credentials: (await proxyCredentials(own(settings?.credentialsFile))) ?? found.credentials,
    authoritiesPem: await proxyAuthorities(own(settings?.caFile)),
  };
  return { proxy, variable: found.variable };
}

/** The way of this command line; `undefined`: directly. */
export async function examineOperatorProxy(found: OperatorProxy | undefined, target: Target): Promise<Finding> {
  return found === undefined ? directly(target, undefined) : examineTunnel(found.proxy, target, found.from);
}

function directly(target: Target, ignored: string | undefined): Finding {
  if (ignored === undefined) return ok('proxy', `none: ${endpointText(target)} is reached directly`);
  return warning(
    'proxy',
    `${ignored} of this shell names one, and the agent does not use it`,
    'where the hub is behind a proxy, set proxy.url, or proxy.fromEnvironment, in agent.json',
  );
}

async function examineTunnel(proxy: Proxy, target: Target, from: string): Promise<Finding> {
  const signal = new AbortController().signal;
  try {
    const tunnel = await openTunnel({ proxy, target, timeoutMs: tunnelMilliseconds, signal });
    tunnel.destroy();
    return ok('proxy', `${proxyName(proxy)}, from ${from}: it connects to ${endpointText(target)}`);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return failed('proxy', `${proxyName(proxy)}, from ${from}: ${error.code}`, error.message);
  }
}
