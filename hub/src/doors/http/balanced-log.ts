// The refused connections of balancers in the hub's log: a line for each balancer and reason, and again each minute while it lasts.
import { performance } from 'node:perf_hooks';
import type { BalancedListener, Balancers } from '../../address/balancers.ts';
import { BalancedConnections } from '../connection/balanced.ts';
import type { HttpServer } from './server.ts';

const quietMilliseconds = 60_000;
/** Beyond these many, lines wait for the next minute. */
const LINES_MAX = 100;

export function balancedConnections(
  { log }: Pick<HttpServer, 'log'>,
  listener: BalancedListener,
  balancers: Balancers,
): BalancedConnections {
  const told = new Set<string>();
  let sinceMs = performance.now();
  const onRefused = (balancer: string, reason: string) => {
    if (performance.now() - sinceMs >= quietMilliseconds) {
      told.clear();
      sinceMs = performance.now();
    }
    const line = `${balancer} ${reason}`;
    if (told.has(line) || told.size >= LINES_MAX) return;
    told.add(line);
    log.warn(
      { address: balancer, reason },
      'a connection was refused by its PROXY protocol header, or for want of one',
    );
  };
  return new BalancedConnections({ listener, balancers, onRefused });
}
