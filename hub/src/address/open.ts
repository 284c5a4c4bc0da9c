// Opens the addresses of strangers: those that are blocked, and the attempts that were refused.
import type { Clock } from '../common/clock.ts';
import type { Database } from '../store/database.ts';
import type { Subject } from '../common/subject.ts';
import { Attempts } from './attempts.ts';
import { type BalancerNetworks, Balancers } from './balancers.ts';
import { BlockedAddresses } from './blocked-addresses.ts';

export interface Addresses extends Subject {
  readonly blocked: BlockedAddresses;
  readonly attempts: Attempts;
  readonly balancers: Balancers;
}

/** `countRefused` is called for each refused attempt. */
export async function openAddresses(
  database: Database,
  {
    refusalsForAlert,
    balancers: networks,
  }: { readonly refusalsForAlert: number; readonly balancers: BalancerNetworks },
  clock: Clock,
  countRefused: (listener: string, code: string) => void,
): Promise<Addresses> {
  const blocked = await BlockedAddresses.open(database, clock);
  const attempts = new Attempts(database, clock, refusalsForAlert, countRefused);
  const balancers = new Balancers(database, networks, clock);
  return {
    blocked,
    attempts,
    balancers,
    metrics: balancers.metrics,
    reload: () => blocked.reload(),
    follows: { tables: ['address_block'], read: () => blocked.reload() },
    [Symbol.asyncDispose]: async () => {
      await balancers[Symbol.asyncDispose]();
      await attempts[Symbol.asyncDispose]();
    },
  };
}
