// Opens the audit log of a data folder, and collects the cosignatures of the devices that witness it.
import { join } from 'node:path';
import type { NoteSigner } from '@edgekeep/core/audit/note';
import { HubError } from '../common/error.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Subject } from '../common/subject.ts';
import { AuditLog } from './log.ts';
import { checkpointsIn, entriesIn } from './store-source.ts';
import { CosignatureCollector } from './witness.ts';
import { WitnessPolicies, type WitnessPolicyDocument } from './witness-policy.ts';

interface AuditSettings {
  readonly logOrigin: string;
  readonly witness: Omit<WitnessPolicyDocument, 'text'> & { readonly roundSeconds: number };
}

export interface Audit extends Subject {
  readonly log: AuditLog;
  /** Its tiles, which anybody may read. */
  readonly folder: string;
  readonly witnesses: CosignatureCollector;
  readonly handOver: (trx: WriteTransaction) => Promise<void>;
  readonly witnessPolicies: WitnessPolicies;
}

export async function openAudit(
  database: Database,
  start: { readonly folder: string; readonly readFrom: number },
  { logOrigin, witness }: AuditSettings,
  signers: Pick<NoteSigner, 'signer' | 'postQuantum'>,
): Promise<Audit> {
  const folder = join(start.folder, 'log');
  const source = entriesIn(database);
  const log = await AuditLog.open({
    source,
    checkpoints: checkpointsIn(database),
    folder,
    signer: { name: logOrigin, ...signers },
    readFrom: start.readFrom,
  });
  // Entries enter the tree as they are committed, even if no caller waits for them.
  database.onCommit = () => log.wake();
  const { roundSeconds, ...inSettings } = witness;
  const policies = await WitnessPolicies.open(database, { ...inSettings, text: null });
  const witnesses = new CosignatureCollector({ log, policies, maxRoundSeconds: roundSeconds });
  const handOver = () => Promise.reject(new HubError('conflict', 'a log cannot be handed over yet'));
  const reload = () => policies.reload();
  return {
    log,
    folder,
    witnesses,
    witnessPolicies: policies,
    handOver,
    reload,
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}
