// What model keys are wrapped under: of the devices now, and of the keys that have left this node.
import { Counter, Gauge, type Registry } from 'prom-client';
import { countAgreementKeys } from '../registry/hybrid-keys.ts';
import type { Database } from '../store/database.ts';

export class WrapMetrics {
  readonly #readApart: Database['readApart'];
  readonly #released = new Counter({
    name: 'edgekeep_released_keys_total',
    help: 'Keys that left the hub, by the form in which they were wrapped (a type of spec/access.md, or former).',
    labelNames: ['wrap'],
    registers: [],
  });

  constructor({ readApart }: Pick<Database, 'readApart'>) {
    this.#readApart = readApart;
  }

  /** A key left the hub; undefined for the form of the version before. */
  readonly count = (type: string | undefined): void => this.#released.inc({ wrap: type ?? 'former' });

  readonly register = (registry: Registry): void => {
    const db = this.#readApart;
    registry.registerMetric(this.#released);
    registry.registerMetric(
      new Gauge({
        name: 'edgekeep_devices_by_agreement_key',
        help: 'Devices that are neither wiped nor retired, by tier and by what their model keys are wrapped under (the suite of a hybrid key, or classical).',
        labelNames: ['tier', 'kind'],
        registers: [],
        async collect() {
          const counts = await countAgreementKeys(db);
          this.reset();
          for (const { tier, kind, count } of counts) this.set({ tier, kind }, count);
        },
      }),
    );
  };
}
