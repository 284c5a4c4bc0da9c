// Opens the evidence that receipts rest on: where it is kept, the job that ends it, and its metrics.
import { Gauge } from 'prom-client';
import type { Clock } from '../common/clock.ts';
import type { AddJob, Subject } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import { evidenceRetention, type EvidenceSettings, evidenceUse } from './evidence-retention.ts';
import type { EvidenceStore } from './evidence-store.ts';
import { EvidenceKeeper } from './kept-evidence.ts';
import type { RootKeys } from './root-keys.ts';

export interface EvidenceSubject extends Subject {
  readonly keeper: EvidenceKeeper;
}

/** After a hundredth of the space has come, the job looks at once: between two runs little more than the space is used. */
const GROWTH_BYTES_PER_MEBIBYTE = 10_486;

export function openEvidence(
  { database, rootKeys }: { readonly database: Database; readonly rootKeys: RootKeys },
  files: EvidenceStore,
  settings: EvidenceSettings,
  clock: Clock,
  addJob: AddJob,
): EvidenceSubject {
  const job = addJob(evidenceRetention({ database, files, settings, clock }));
  files.onGrown = (bytes) => {
    if (bytes < settings.maxMebibytes * GROWTH_BYTES_PER_MEBIBYTE) return false;
    job.soon();
    return true;
  };
  return {
    keeper: new EvidenceKeeper(database, files, rootKeys),
    metrics(registry) {
      const gauge = (name: string, help: string, value: 'bytes' | 'receipts') =>
        new Gauge({
          name,
          help,
          registers: [registry],
          async collect() {
            this.set((await evidenceUse(database.readApart))[value]);
          },
        });
      gauge('edgekeep_evidence_bytes', 'Bytes of logs and certificates that are kept for receipts.', 'bytes');
      gauge('edgekeep_evidence_receipts', 'Receipts that have a long form.', 'receipts');
    },
  };
}
