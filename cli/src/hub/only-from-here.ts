// Whether the address in a code to join is one that only this machine reaches, as the listeners of a new hub are.
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { hostLikeness } from '@edgekeep/core/canonical/host-like';

/** A line about an address that another machine cannot reach; nothing for others. */
export function onlyFromHere(url: string): string {
  const { host } = parseWebAddress(url);
  const isLoopback = host === '::1' || host.startsWith('127.') || hostLikeness(host, []) === 'loopback';
  if (!isLoopback) return '';
  return `\nthe code names ${host}, which is this machine alone: for another machine set operator.host and the url of your operator file to an address that it reaches, and invite again`;
}
