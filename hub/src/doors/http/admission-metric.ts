// Metrics of admission: what each class of payers cost, and which limit refused them.
import { Counter, type Registry } from 'prom-client';
import type { Admission } from './admission.ts';
import type { PayerClass } from './payer.ts';

export function registerAdmissionMetrics(registry: Registry, admission: Admission): void {
  const { devices, strangers, tokens, callers } = admission;
  const classes: Readonly<Record<string, PayerClass>> = { devices, strangers, tokens, callers };
  const refused: Counter = new Counter({
    name: 'edgekeep_limited_total',
    help: 'Requests refused with 429 by admission, by the class of the payer and the limit: requests, work, bytes, bodies, memory, turns.',
    labelNames: ['payer', 'limit'],
    registers: [registry],
    collect() {
      refused.reset();
      for (const [payer, each] of Object.entries(classes)) {
        for (const [limit, count] of Object.entries(each.refused)) refused.inc({ payer, limit }, count);
        refused.inc({ payer, limit: 'turns' }, each.turns.refused);
      }
    },
  });
  const work: Counter = new Counter({
    name: 'edgekeep_work_seconds_total',
    help: 'Work of the hub for requests, as it is charged to payers, by their class.',
    labelNames: ['payer'],
    registers: [registry],
    collect() {
      work.reset();
      for (const [payer, { workedMs }] of Object.entries(classes)) work.inc({ payer }, workedMs / 1_000);
    },
  });
}
