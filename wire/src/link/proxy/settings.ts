// A proxy in a settings file (spec/http-proxy.md, "Settings"): no password in it, and nothing that one program reads in another way than the next.
import { z } from 'zod';
import { WireError } from '../../error.ts';
import { parseProxyUrl, type ProxyAddress, type ProxyCredentials } from './proxy.ts';
import { type Environment, proxyFromEnvironment } from './environment.ts';

/** `http://HOST:PORT` or `https://HOST`, for `z.transform`; refused with credentials, and without a port for `http`. */
export function proxyAddressIn(text: string, context: z.RefinementCtx): ProxyAddress {
  const problem = (message: string) => {
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  };
  try {
    const { address, namesPort, credentials } = parseProxyUrl(text, 'the proxy');
    if (credentials !== undefined)
      return problem(
        'user and password do not belong into a URL: write them into a file and name it by credentialsFile',
      );
    if (!namesPort && address.scheme === 'http')
      return problem('name its port: some programs take 1080 where there is none, others 80');
    return address;
  } catch (error) {
    if (error instanceof WireError) return problem(error.message);
    throw error;
  }
}

const path = z.string().min(1).max(1_024);

/** In the settings of an agent. */
export const proxySettingsSchema = z
  .strictObject({
    /** `http://HOST:PORT` or `https://HOST:PORT`, without credentials. */
    url: z.string().max(1_024).transform(proxyAddressIn).optional(),
    /** Instead of a URL: the proxy that HTTPS_PROXY and NO_PROXY of the agent's own environment name, if they name one. */
    fromEnvironment: z.boolean().default(false),
    /** `user:password`, alone on one line of a file that only the agent's user can read. */
    credentialsFile: path.optional(),
    /** PEM, for an `https` URL: the authorities that may vouch for the proxy; left out: those of the machine. */
    caFile: path.optional(),
  })
  .refine(({ url, fromEnvironment }) => (url === undefined) === fromEnvironment, 'set either url or fromEnvironment');

export type ProxySettings = z.infer<typeof proxySettingsSchema>;

export interface NamedProxy {
  readonly address: ProxyAddress;
  /** The variable that named it; undefined: the settings. */
  readonly variable: string | undefined;
  readonly credentials: ProxyCredentials | undefined;
}

/** The proxy that the settings name for this target; undefined: directly. Throws `settings-invalid` for a variable that cannot be used. */
export function namedProxy(
  settings: ProxySettings | undefined,
  target: { readonly host: string; readonly port: number },
  environment: Environment,
): NamedProxy | undefined {
  if (settings === undefined) return undefined;
  if (settings.url !== undefined) return { address: settings.url, variable: undefined, credentials: undefined };
  return proxyFromEnvironment(environment, target);
}
