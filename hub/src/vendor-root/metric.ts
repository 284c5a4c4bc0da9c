// Metrics: how many makers' certificates the hub uses, how many have ended, and when the next one ends.
import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import type { VendorRootCount, VendorRoots } from './vendor-roots.ts';

export function registerVendorRootMetric(registry: Registry, roots: Pick<VendorRoots, 'counts'>, clock: Clock): void {
  const gauge = (name: string, help: string, labelNames: readonly string[], set: (gauge: Gauge) => void) => {
    const made: Gauge = new Gauge({
      name,
      help,
      labelNames: [...labelNames],
      registers: [registry],
      collect() {
        made.reset();
        set(made);
      },
    });
  };
  const each = (work: (count: VendorRootCount) => void) => roots.counts(clock()).forEach(work);
  gauge(
    'edgekeep_vendor_roots',
    'Certificates of hardware makers that the hub uses, by kind and role.',
    ['kind', 'role'],
    (own) =>
      each(({ kind, roots: anchors, intermediates }) => {
        own.set({ kind, role: 'root' }, anchors);
        own.set({ kind, role: 'intermediate' }, intermediates);
      }),
  );
  gauge('edgekeep_vendor_roots_ended', 'Of these, certificates whose end has passed.', ['kind'], (own) =>
    each(({ kind, ended }) => own.set({ kind }, ended)),
  );
  gauge(
    'edgekeep_vendor_root_expires_seconds',
    'Seconds until the next of these certificates ends; absent where none does.',
    ['kind'],
    (own) =>
      each(({ kind, nextEndMs }) => {
        if (nextEndMs !== undefined) own.set({ kind }, (nextEndMs - clock()) / 1_000);
      }),
  );
}
