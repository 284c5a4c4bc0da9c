// A node's claim (docs/design/nodes.md): one process is a node at a time. It is a row that the process renews; the store's own clock says when it
// has lapsed. What would be a second process of one node is refused at its start, and the store takes no write of a process without the claim.
import { randomUUID } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout as pause } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import { productVersion } from '../common/version.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { lockFileName } from '../store/folder-lock.ts';
import type { Tables } from '../store/schema.ts';
import type { NodeRow } from '../store/tables/node.ts';
import type { NodeFile } from './node-file.ts';
import { unknownNode } from './opened-document.ts';

/** A claim that was not renewed for this long has lapsed: five renewals were missed. */
export const CLAIM_MS = 10_000;
const lookMs = 250;

export interface Claim {
  readonly id: string;
  readonly claim: string;
}

export interface ClaimOrder {
  /** The data folder, which this process has locked. */
  readonly folder: string;
  readonly file: NodeFile;
  /** JSON. */
  readonly addresses: string;
  readonly clock: Clock;
  /** Milliseconds of a clock that nobody sets. */
  readonly elapsedMs?: () => number;
}

/** Refuses, before anything is written, a folder that is no node of the hub in this store. */
export async function assertNode(db: Kysely<Tables>, id: string | undefined): Promise<void> {
  const rows = await db.selectFrom('node').select(['id', 'removed_at']).execute();
  if (rows.length > 0) needNode(rows, id);
}

function needNode<Row extends Pick<NodeRow, 'id' | 'removed_at'>>(rows: readonly Row[], id: string | undefined): Row {
  const own = rows.find((row) => row.id === id);
  if (own === undefined || own.removed_at !== null) throw unknownNode();
  return own;
}

/**
 * Makes this process the node of its folder. The first process of a store without nodes becomes the first one. Waits while a claim of another process
 * lapses; also one that was renewed in the store's future, when its clock was ahead. Throws `node-unknown`, and `node-in-use` where another process renews it.
 */
export async function claimNode(database: Database, order: ClaimOrder): Promise<Claim> {
  const claim = randomUUID();
  const { elapsedMs = () => performance.now() } = order;
  const beganMs = elapsedMs();
  let first: number | null | undefined;
  for (;;) {
    const waited = elapsedMs() - beganMs > CLAIM_MS ? first : undefined;
    const holder = await database.writeAsHub((trx) => attempt(trx, database, order, { claim, waited }));
    if (holder === undefined) break;
    first ??= holder.seenAt;
    if (holder.seenAt !== first) throw inUse(order);
    await pause(lookMs);
  }
  const { id } = order.file;
  database.fence(`select 1 from node where id = '${id}' and claim = '${claim}' and removed_at is null`);
  return { id, claim };
}

interface Asked {
  readonly claim: string;
  /** When the claim was renewed that this process has watched until it lapsed. */
  readonly waited: number | null | undefined;
}

/** Undefined when it is done; else who has the claim. */
async function attempt(
  trx: WriteTransaction,
  database: Database,
  { folder, file, addresses, clock }: ClaimOrder,
  { claim, waited }: Asked,
): Promise<{ readonly seenAt: number | null } | undefined> {
  const { id, name } = file;
  const now = database.clock;
  const rows = await trx
    .selectFrom('node')
    .select(['id', 'removed_at', 'claim', 'place', 'seen_at'])
    .select(sql<number>`case when seen_at < ${now} - ${sql.lit(CLAIM_MS)} then 1 else 0 end`.as('lapsed'))
    .execute();
  const present = { version: productVersion, addresses, claim, place: placeOf(folder), seen_at: now };
  if (rows.length === 0) {
    const counts = { log_size: 0, connections: 0, keys_version: 0, removed_at: null };
    await trx
      .insertInto('node')
      .values({ id, name, joined_at: now, ...counts, ...present })
      .execute();
    await appendEntry(trx, {
      at: clock(),
      kind: 'node-joined',
      actor: 'hub',
      subject: `node:${name}`,
      data: { id, first: true },
    });
    return undefined;
  }
  const own = needNode(rows, id);
  // The folder is locked: the process that had it before has ended.
  const isHeld = own.claim !== null && own.place !== present.place && own.lapsed === 0;
  if (isHeld && own.seen_at !== waited) return { seenAt: own.seen_at };
  await trx.updateTable('node').set(present).where('id', '=', id).execute();
  return undefined;
}

/** Ends a claim, so that another machine can take the folder over at once. */
export async function endClaim(database: Database, { id, claim }: Claim): Promise<void> {
  await database.writeAsHub((trx) =>
    trx.updateTable('node').set({ claim: null, place: null }).where('id', '=', id).where('claim', '=', claim).execute(),
  );
}

// A copy of the folder is another file, also on this machine; after a restart of the machine the claim lapses.
function placeOf(folder: string): string {
  const { dev, ino } = statSync(join(folder, lockFileName));
  return sha256Hex(`${bootId()}\n${dev}\n${ino}`).slice(0, 32);
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    // Not Linux: then a killed node waits until its claim has lapsed.
    return randomUUID();
  }
}

function inUse({ folder, file }: ClaimOrder): HubError {
  return new HubError(
    'node-in-use',
    `another process is the node ${file.name} now, so ${folder} was copied: run one of them, and give the other machine a node of its own (\`edgekeep hub join\`)`,
  );
}
