// Opens the audit log of a data folder, and collects the cosignatures of the devices that witness it.
import { join } from 'node:path';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { type NoteSigner, parseNote, parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import type { Signer } from '@edgekeep/core/signer';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Clock } from '../common/clock.ts';
import type { Subject } from '../common/subject.ts';
import {
  endOfLog,
  handOver,
  type HandOverOrder,
  keyOfLog,
  type ProvenHandOver,
  provenHandOvers,
  readLogs,
} from './hand-over.ts';
import { AuditLog } from './log.ts';
import { checkpointsIn, entriesIn } from './store-source.ts';
import { SharedCosignatures } from './shared-cosignatures.ts';
import { CosignatureCollector, type CosignatureCollectorDependencies } from './witness.ts';
import { WitnessPolicies, type WitnessPolicyDocument } from './witness-policy.ts';

interface AuditSettings {
  readonly logOrigin: string;
  readonly witness: Omit<WitnessPolicyDocument, 'text'> & {
    readonly roundSeconds: number;
    readonly public: readonly { readonly key: string }[];
  };
}

export interface Audit extends Subject {
  readonly log: AuditLog;
  /** Its tiles, which anybody may read. */
  readonly folder: string;
  readonly witnesses: CosignatureCollector;
  readonly witnessPolicies: WitnessPolicies;
  /** Ends the log and begins the next, in the caller's transaction. */
  readonly handOver: (trx: WriteTransaction, order: HandOverOrder) => Promise<void>;
  /** The former logs and this one. */
  readonly keys: () => Promise<readonly VerifierKey[]>;
  readonly handOvers: () => Promise<readonly ProvenHandOver[]>;
}

/** Who signs the first log, and how to find who signs a later one. */
export interface LogSigners {
  readonly first: Pick<NoteSigner, 'signer' | 'postQuantum'>;
  readonly signerOf: (spki: Uint8Array) => Promise<Signer>;
}

export async function openAudit(
  database: Database,
  start: {
    readonly folder: string;
    readonly readFrom: number;
    readonly publishers: CosignatureCollectorDependencies['publishers'];
    readonly clock: Clock;
  },
  { logOrigin, witness }: AuditSettings,
  signers: LogSigners,
): Promise<Audit> {
  const { publishers } = start;
  const folder = join(start.folder, 'log');
  const source = entriesIn(database);
  const log = await AuditLog.open({
    source,
    checkpoints: checkpointsIn(database),
    folder,
    ...(await signing(database, logOrigin, signers)),
    // A single node knows of its own hand-over before it is durable.
    ...(database.isShared && { ended: (key: VerifierKey) => endOfLog(database.read, key, signers.signerOf) }),
    readFrom: start.readFrom,
  });
  // Entries enter the tree as they are committed, even if no caller waits for them.
  database.onCommit = () => log.wake();
  const { roundSeconds, public: others, ...inSettings } = witness;
  const keys = others.map(({ key }) => parseVerifierKey(key));
  const asked = keys.map(({ name }) => name);
  const policies = await WitnessPolicies.open(database, { ...inSettings, text: null });
  const witnesses = new CosignatureCollector({ log, policies, publishers, asked, maxRoundSeconds: roundSeconds });
  const reload = () => policies.reload();
  const board = database.isShared
    ? [new SharedCosignatures({ database, log, witnesses, asked: keys, clock: start.clock }).job]
    : [];
  return {
    log,
    folder,
    witnesses,
    witnessPolicies: policies,
    jobs: board,
    reload,
    follows: { tables: ['witness_policy'], read: reload },
    handOver: (trx, order) => handOver(trx, log, order),
    keys: async () => {
      const former = (await readLogs(database.read)).filter(({ closed_size: size }) => size !== null);
      return [...former.map(keyOfLog), log.key];
    },
    handOvers: () => provenHandOvers(database, log),
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

// Who signs after the last hand-over; and before it, as long as its last checkpoint was not published.
async function signing(database: Database, logOrigin: string, { first, signerOf }: LogSigners) {
  const logs = await readLogs(database.read);
  const [ended, current] = logs.slice(-2);
  if (ended === undefined || current === undefined) return { signer: { name: logOrigin, ...first } };
  const next = { name: current.origin, signer: await signerOf(current.spki) };
  const { closed_size: size, final_note: note } = ended;
  const saved = await checkpointsIn(database).latest();
  const reached = saved === undefined ? 0 : parseCheckpoint(parseNote(saved).text).size;
  if (size === null || note === null || reached > size)
    return { signer: next, former: logs.slice(0, -1).map(keyOfLog) };
  const root = parseCheckpoint(parseNote(note).text).root;
  const former = { name: ended.origin, signer: await signerOf(ended.spki) };
  return { signer: former, former: logs.slice(0, -2).map(keyOfLog), handOver: { size, root, note, next } };
}
