// Metrics of the key list: its number, and the time until readers say that it is too old.
import type { KeyList } from '@edgekeep/core/authority/key-list';
import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';

export function registerKeyListMetric(registry: Registry, list: () => KeyList | undefined, clock: Clock): void {
  const number: Gauge = new Gauge({
    name: 'edgekeep_key_list_number',
    help: 'Number of the newest key list that the root signed; 0 when there is none.',
    registers: [registry],
    collect: () => number.set(list()?.number ?? 0),
  });
  const ends: Gauge = new Gauge({
    name: 'edgekeep_key_list_expires_seconds',
    help: 'Seconds until the key list is too old; negative when it is, and 0 when there is none.',
    registers: [registry],
    collect: () => {
      const until = list()?.validUntilSeconds;
      ends.set(until === undefined ? 0 : until - clock() / 1_000);
    },
  });
}
