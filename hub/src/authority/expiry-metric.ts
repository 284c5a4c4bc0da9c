// A metric: the remaining life of each authority and of each certificate of the hub.
import { Gauge, type Registry } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import type { OwnCertificate } from './expiry.ts';

export function registerExpiryMetric(
  registry: Registry,
  own: () => Promise<readonly OwnCertificate[]>,
  clock: Clock,
): void {
  const gauge: Gauge = new Gauge({
    name: 'edgekeep_certificate_expires_seconds',
    help: 'Seconds until the end of a root, an issuing CA or a certificate of the hub itself; negative when it has ended.',
    labelNames: ['certificate'],
    registers: [registry],
    async collect() {
      gauge.reset();
      for (const { name, certificate } of await own())
        gauge.set({ certificate: name }, certificate.notAfterSeconds - clock() / 1_000);
    },
  });
}
