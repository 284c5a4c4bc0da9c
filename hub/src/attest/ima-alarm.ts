// Says that a device ran what no IMA policy accepts (spec/ima-policy.md, "The result"): an alert of its own, because the machine booted well and was
// changed since, and numbers for monitoring.
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import { trustValues } from '@edgekeep/core/attest/trust-vector';
import { Gauge, type Registry } from 'prom-client';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import type { Database, WriteTransaction } from '../store/database.ts';

const kind = 'ima-policy-refused';
const codes: ReadonlySet<string> = new Set(['ima-entry-refused', 'ima-log-missing']);

/** Raises or settles the alert about this device, after authentic evidence. */
export async function weighRuntime(
  trx: WriteTransaction,
  deviceId: string,
  { reasons, status, vector }: Pick<Appraisal, 'reasons' | 'status' | 'vector'>,
  nowMs: number,
): Promise<void> {
  const refused = reasons.filter(({ code }) => codes.has(code));
  const [first] = refused;
  const subject = { deviceId };
  if (first !== undefined) {
    await raiseAlert(trx, {
      kind,
      severity: status === 'contraindicated' ? 'high' : 'medium',
      subject,
      title: `${deviceId} ran what no IMA policy accepts: ${first.message}`,
      data: { reasons: [...new Set(refused.map(({ code }) => code))] },
      nowMs,
    });
  } else if (vector.executables === trustValues.approvedRuntime) {
    await settleAlert(trx, { kind, subject, note: 'an IMA policy accepts everything that ran', nowMs });
  }
}

export function registerImaMetrics(registry: Registry, { read }: Pick<Database, 'read'>): void {
  const gauge = (name: string, help: string, count: () => Promise<number>) => {
    const made: Gauge = new Gauge({ name, help, registers: [registry], collect: async () => made.set(await count()) });
  };
  gauge('edgekeep_ima_policies', 'IMA policies in force.', async () => {
    const query = read.selectFrom('ima_policy').select((q) => q.fn.countAll<number>().as('count'));
    return (await query.where('withdrawn_at', 'is', null).executeTakeFirstOrThrow()).count;
  });
  gauge('edgekeep_devices_ima_refused', 'Devices that ran what no IMA policy accepts: open alerts.', async () => {
    const query = read.selectFrom('alert').select((q) => q.fn.countAll<number>().as('count'));
    return (await query.where('kind', '=', kind).where('state', '<>', 'closed').executeTakeFirstOrThrow()).count;
  });
}
