// One board for the cosignatures of all nodes (docs/design/nodes-state.md): which checkpoint is open, and who cosigned it, are rows that each node reads
// several times a second. What a node reads it verifies as if a device had brought it: who writes into the store makes no witness.
import { encodeNote, parseNote, parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import type { Clock } from '../common/clock.ts';
import type { Job } from '../common/subject.ts';
import { inBatches } from '../store/batches.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { WitnessCosignatureRow } from '../store/tables/audit.ts';
import type { AuditLog } from './log.ts';
import type { CosignatureCollector, Gathered, OpenRound, Witness } from './witness.ts';

const everyMs = 500;
/** Checkpoints that the board keeps: the open one, and those that slow devices may still cosign. */
const ROUNDS_MAX = 4;
/** Cosignatures of one checkpoint that a node shares: more than a quorum asks for, and few enough for every node to verify. */
const SHARED_MAX = 256;
// Of later lines that wait, in one write.
const WAITING_MAX = 2_000;

export interface SharedCosignaturesDependencies {
  readonly database: Database;
  readonly log: Pick<AuditLog, 'reach' | 'size'>;
  readonly witnesses: CosignatureCollector;
  /** Public witnesses that the hub asks. */
  readonly asked: readonly VerifierKey[];
  readonly clock: Clock;
}

export class SharedCosignatures {
  readonly #dependencies: SharedCosignaturesDependencies;
  #waiting: Gathered[] = [];
  /** How many of each checkpoint this node has shared. */
  readonly #shared = new Map<number, number>();
  /** The open checkpoint of the board, when it was read last. */
  #open = -1;
  /** Of the newest line that was read. */
  #seen = 0;

  constructor(dependencies: SharedCosignaturesDependencies) {
    this.#dependencies = dependencies;
    dependencies.witnesses.onGathered = (gathered) => this.#keep(gathered);
  }

  get job(): Job {
    return {
      name: 'shared-cosignatures',
      summary: 'shares the open checkpoint and its cosignatures with the other nodes',
      everyMilliseconds: everyMs,
      runsOn: 'every-node',
      run: () => this.exchange(),
    };
  }

  /** Writes what this node gathered, and takes what the others did. */
  async exchange(): Promise<void> {
    const { database, witnesses } = this.#dependencies;
    const { open } = witnesses;
    const lines = this.#waiting;
    if (lines.length > 0 || (open !== undefined && open.size !== this.#open)) {
      await database.writeAsHub((trx) => share(trx, { open, lines, known: this.#open }));
      this.#waiting = this.#waiting.slice(lines.length);
    }
    await this.#read();
  }

  #keep(gathered: Gathered): void {
    const shared = this.#shared.get(gathered.size) ?? 0;
    if (shared >= SHARED_MAX || this.#waiting.length >= WAITING_MAX) return;
    this.#shared.set(gathered.size, shared + 1);
    this.#waiting = [...this.#waiting, gathered];
  }

  async #read(): Promise<void> {
    const { database, log, witnesses } = this.#dependencies;
    const rounds = await database.read.selectFrom('witness_round').selectAll().orderBy('size', 'desc').execute();
    const [newest] = rounds;
    if (newest === undefined) return;
    for (const size of this.#shared.keys()) if (size < (rounds.at(-1)?.size ?? 0)) this.#shared.delete(size);
    if (newest.size !== this.#open) {
      await log.reach(newest.size);
      // This node cannot prove anything about a tree that it has not: it goes on with its own until it has.
      if (log.size < newest.size) return;
      witnesses.adopt({ size: newest.size, note: parseNote(newest.note), startedSeconds: newest.started_seconds });
      this.#open = newest.size;
    }
    const lines = await database.read
      .selectFrom('witness_cosignature')
      .selectAll()
      .where('number', '>', this.#seen)
      .orderBy('number')
      .limit(WAITING_MAX)
      .execute();
    await this.#take(lines);
    this.#seen = lines.at(-1)?.number ?? this.#seen;
  }

  async #take(lines: readonly WitnessCosignatureRow[]): Promise<void> {
    const { witnesses, asked, clock } = this.#dependencies;
    const nowSeconds = Math.floor(clock() / 1_000);
    const standing = await this.#witnessesAmong(lines.flatMap(({ device_id: id }) => id ?? []));
    for (const { device_id: id, public_name: name, cosigned } of lines) {
      const witness = id === null ? undefined : standing.get(id);
      if (id !== null && witness !== undefined) witnesses.take(id, witness, cosigned, nowSeconds);
      const key = asked.find((each) => each.name === name);
      if (key !== undefined) witnesses.takePublic(key, parseNote(cosigned), nowSeconds);
    }
  }

  /** Those that are witnesses now. */
  async #witnessesAmong(ids: readonly string[]): Promise<ReadonlyMap<string, Witness>> {
    const rows = await inBatches([...new Set(ids)], async (some) =>
      this.#dependencies.database.read
        .selectFrom('device')
        .select(['id', 'witness_key', 'tier', 'witness_origin'])
        .where('id', 'in', some)
        .where('witness_key', '<>', '')
        .where('disabled_reason', 'is', null)
        .where((q) =>
          q.or([
            q('state', '=', 'active'),
            q.and([q('state', '=', 'registered'), q('attestation', 'is distinct from', 'contraindicated')]),
          ]),
        )
        .execute(),
    );
    return new Map(
      rows.map(({ id, witness_key: key, tier, witness_origin: origin }) => [
        id,
        { key: parseVerifierKey(key), standing: { tier, origin } },
      ]),
    );
  }
}

interface Shared {
  readonly open: OpenRound | undefined;
  readonly lines: readonly Gathered[];
  /** The open checkpoint of the board, as far as this node knows. */
  readonly known: number;
}

async function share(trx: WriteTransaction, { open, lines, known }: Shared): Promise<void> {
  const rows = await trx.selectFrom('witness_round').select('size').orderBy('size', 'desc').execute();
  const newest = rows[0]?.size ?? -1;
  // Where another node has opened the next one meanwhile, this node follows it.
  const opens = open !== undefined && newest === known && open.size > newest;
  const sizes = [...(opens ? [open.size] : []), ...rows.map(({ size }) => size)];
  if (opens) {
    const row = { size: open.size, note: encodeNote(open.note), started_seconds: open.startedSeconds };
    await trx.insertInto('witness_round').values(row).execute();
  }
  const last = await trx
    .selectFrom('witness_cosignature')
    .select((q) => q.fn.max('number').as('number'))
    .executeTakeFirst();
  const kept = sizes.slice(0, ROUNDS_MAX);
  const values = lines
    .filter(({ size }) => kept.includes(size))
    .map(({ size, by, cosigned }, at) => ({
      number: (last?.number ?? 0) + 1 + at,
      size,
      device_id: 'deviceId' in by ? by.deviceId : null,
      public_name: 'public' in by ? by.public : null,
      cosigned,
    }));
  await inBatches(values, async (some) => {
    await trx.insertInto('witness_cosignature').values(some).execute();
    return [];
  });
  const oldest = kept.at(-1) ?? 0;
  await trx.deleteFrom('witness_round').where('size', '<', oldest).execute();
  // The newest line stays, because the next one is numbered after it.
  if (values.length > 0) await trx.deleteFrom('witness_cosignature').where('size', '<', oldest).execute();
}
