// The one form of a host for comparison (docs/design/identities.md): a name without its dot of the root, an address without its brackets.
import { CoreError } from '../error.ts';
import { hostText, parseHost } from './host.ts';

/** The canonical form of a host name or an address without a zone; undefined for anything else. */
export function canonicalHostName(text: string): string | undefined {
  try {
    const host = parseHost(text);
    return host.kind === 'ipv6' && host.zone !== undefined ? undefined : hostText(host);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
