// Host names (RFC 1123, RFC 5890): lower case, A-labels, without the dot of the DNS root; addresses in their own canonical form.
import { domainToASCII } from 'node:url';
import { canonicalAddress } from './network.ts';

const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const NAME_LENGTH_MAX = 253;

/** The canonical form of a host name or an address; undefined for anything else. */
export function canonicalHostName(text: string): string | undefined {
  const bare = /^\[([0-9a-fA-F:.]+)\]$/.exec(text)?.[1];
  if (bare !== undefined) return bare.includes(':') ? canonicalAddress(bare) : undefined;
  const address = text.includes('%') ? undefined : canonicalAddress(text);
  if (address !== undefined) return address;
  // Everything that a URL parser would not read as a name: ports, paths, percent signs, numbers in other bases.
  if (/[\s:/?#@%\\[\]]/u.test(text)) return undefined;
  const name = domainToASCII(text.replace(/\.$/, ''));
  if (name === '' || name.length > NAME_LENGTH_MAX || !name.split('.').every((part) => label.test(part)))
    return undefined;
  // `127.1` and `0x7f.1` are addresses to some resolvers and names to others.
  return /^(?:\d+|0x[0-9a-f]*)$/.test(name.split('.').at(-1) ?? '') ? undefined : name;
}
