// Where a device reaches its hub (spec/addresses.md): it is another machine than this one, so an address that only this machine can use is
// refused here, and not found at the device.
import { parseEndpoint } from '@edgekeep/core/canonical/endpoint';
import { type Host, hostText, isLinkLocal, isUnspecified, parseHost } from '@edgekeep/core/canonical/host';
import { CoreError } from '@edgekeep/core/error';
import { proxyName } from '@edgekeep/wire/link/proxy/proxy';
import { proxySettingsSchema } from '@edgekeep/wire/link/proxy/settings';
import { type Arguments, UsageError } from '../command.ts';

export interface KitHub {
  readonly host: string;
  /** Undefined: the port of the hub's device listener. */
  readonly port: number | undefined;
}

/** `--hub HOST[:PORT]`; undefined without it. */
export function hubIn(args: Pick<Arguments, 'option'>): KitHub | undefined {
  const text = args.option('hub');
  if (text === undefined) return undefined;
  return refusedAs('--hub', () => {
    const { host, port } = parseEndpoint(text);
    return { host: usableElsewhere(host), port };
  });
}

/** `--proxy URL`: the HTTP proxy on the way there (spec/http-proxy.md); undefined without it. */
export function proxyIn(args: Pick<Arguments, 'option'>): string | undefined {
  const text = args.option('proxy');
  if (text === undefined) return undefined;
  const { success, data, error } = proxySettingsSchema.safeParse({ url: text });
  if (!success || data.url === undefined)
    throw new UsageError(`--proxy: ${error?.issues.map(({ message }) => message).join('; ') ?? 'expected a URL'}`);
  return proxyName(data.url);
}

/** The hub's own name. Throws `UsageError` where no device can reach the hub by it. */
export function reachedByName(name: string): KitHub {
  return refusedAs('the first of the hub’s names does not lead to it, so name it by --hub', () => {
    return { host: usableElsewhere(parseHost(name)), port: undefined };
  });
}

function usableElsewhere(host: Host): string {
  const refused = (why: string) => new CoreError('address-invalid', `${JSON.stringify(hostText(host))}: ${why}`);
  if (isUnspecified(host))
    throw refused('a listener has this address; a device needs the name or address of the hub’s machine');
  if (isLinkLocal(host))
    throw refused(
      'a link-local address is reached through an interface of the device, whose name only the device knows: write `host` with it into the agent.json there',
    );
  return hostText(host);
}

function refusedAs<T>(what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    if (!(cause instanceof CoreError)) throw cause;
    throw new UsageError(`${what}: ${cause.message}`, { cause });
  }
}
