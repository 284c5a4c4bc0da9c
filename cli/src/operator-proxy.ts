// The HTTP proxy between this command line and the hub (spec/http-proxy.md): what the operator file says, else what the environment says, as curl
// reads it. Credentials are in a file, or in the environment's own URL; no error and no output has them.
import { readFile } from 'node:fs/promises';
import { Agent } from 'node:https';
import { Socket } from 'node:net';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { HostError } from '@edgekeep/host/error';
import {
  parseProxyCredentials,
  parseProxyUrl,
  type Proxy,
  PROXY_CREDENTIALS_BYTES_MAX,
  type ProxyCredentials,
  proxyName,
} from '@edgekeep/wire/link/proxy/proxy';
import { proxyFromEnvironment } from '@edgekeep/wire/link/proxy/environment';
import { openTunnel } from '@edgekeep/wire/link/proxy/tunnel';
import { readSecretFile } from './bounded-file.ts';
import type { Access } from './operator-file.ts';

/** From the first packet to the proxy's answer. */
const tunnelMilliseconds = 10_000;
const credentialsVariable = 'EDGEKEEP_PROXY_CREDENTIALS';

export interface OperatorProxy {
  readonly proxy: Proxy;
  /** For people, without credentials. */
  readonly name: string;
  /** What named it. */
  readonly from: string;
}

/** The proxy on the way to the hub; undefined: directly. Throws `settings-invalid` for settings that cannot be used. */
export async function proxyTo(
  { url, proxy: setting }: Pick<Access, 'url' | 'proxy'>,
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Promise<OperatorProxy | undefined> {
  if (setting === 'none') return undefined;
  if (setting !== undefined) {
    const from = 'the operator file';
    const { address } = parseProxyUrl(setting.url, from);
    const credentials = await proxyCredentials(setting.credentialsFile);
    const authoritiesPem = await proxyAuthorities(setting.caFile);
    return { proxy: { ...address, credentials, authoritiesPem }, name: proxyName(address), from };
  }
  const found = proxyFromEnvironment(environment, parseWebAddress(url));
  if (found === undefined) return undefined;
  const { address, variable } = found;
  const credentials = (await proxyCredentials(environment[credentialsVariable])) ?? found.credentials;
  return { proxy: { ...address, credentials }, name: proxyName(address), from: `the environment variable ${variable}` };
}

/** Reads a file with credentials; undefined without one. Throws `file-not-private`, `settings-invalid`. */
export async function proxyCredentials(file: string | undefined): Promise<ProxyCredentials | undefined> {
  if (file === undefined || file === '') return undefined;
  const content = await readSecretFile(file, PROXY_CREDENTIALS_BYTES_MAX);
  return parseProxyCredentials(content, `the proxy's credentials in ${file}`);
}

/** Reads a PEM file; undefined without one. Throws `settings-invalid`. */
export async function proxyAuthorities(file: string | undefined): Promise<readonly string[] | undefined> {
  if (file === undefined) return undefined;
  const pem = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new HostError('settings-invalid', `the proxy's authorities in ${file} cannot be read`, { cause });
  });
  return [pem];
}

type Options = Parameters<Agent['createConnection']>[0];
type Callback = Parameters<Agent['createConnection']>[1];

/** Connections through a proxy; kept between requests, and each with a handshake of its own. */
export class TunnelAgent extends Agent {
  readonly #proxy: Proxy;

  constructor(proxy: Proxy) {
    super({ keepAlive: true, maxCachedSessions: 0 });
    this.#proxy = proxy;
  }

  override createConnection(options: Options, callback: Callback): undefined {
    void this.#connect(options, callback);
    return undefined;
  }

  async #connect(options: Options, callback: Callback): Promise<void> {
    const target = { host: String(options.host), port: Number(options.port) };
    const signal = new AbortController().signal;
    try {
      const tunnel = await openTunnel({ proxy: this.#proxy, target, timeoutMs: tunnelMilliseconds, signal });
      const through = { ...options, socket: tunnel };
      const socket = super.createConnection(through);
      if (socket) callback?.(null, socket);
    } catch (error) {
      // The type wants a socket here as well.
      callback?.(error instanceof Error ? error : new Error(String(error)), new Socket());
    }
  }
}
