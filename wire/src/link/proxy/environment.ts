// The proxy that the environment names for HTTPS, as curl reads it (spec/http-proxy.md, "The environment").
import { isExcepted } from './no-proxy.ts';
import { parseProxyUrl, type ProxyAddress, type ProxyCredentials } from './proxy.ts';

export interface EnvironmentProxy {
  /** The variable that named it. */
  readonly variable: string;
  readonly address: ProxyAddress;
  readonly credentials: ProxyCredentials | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

// The first that is not empty counts.
const variables = ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY'] as const;

/**
 * The proxy for this target; undefined where the environment names none, or excepts the target. Throws `settings-invalid` for a URL that
 * cannot be used: going on without it would go where the user did not want to.
 */
export function proxyFromEnvironment(
  environment: Environment,
  target: { readonly host: string; readonly port: number },
): EnvironmentProxy | undefined {
  const variable = proxyVariable(environment);
  if (variable === undefined) return undefined;
  const exceptions = environment['no_proxy'] || environment['NO_PROXY'] || '';
  if (isExcepted(exceptions, target)) return undefined;
  const { address, credentials } = parseProxyUrl(environment[variable] ?? '', `the environment variable ${variable}`);
  return { variable, address, credentials };
}

/** Which variable names a proxy for HTTPS. */
export function proxyVariable(environment: Environment): string | undefined {
  return variables.find((name) => (environment[name] ?? '') !== '');
}
