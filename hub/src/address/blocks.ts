// Networks that are not allowed to connect, on either listener (spec/api.md, "Addresses"). Each has a reason and an end, and each change is
// audited.
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import type { Balancers } from './balancers.ts';
import { announceDisconnects } from '../revocation/store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { AddressBlockRow } from '../store/tables/address.ts';
import type { Tables } from '../store/schema.ts';
import { namedNetwork, networkHas } from './network-text.ts';

/** Every node holds all of them in memory. */
const BLOCKS_MAX = 10_000;

interface AddressBlockOrder {
  readonly network: string;
  readonly reason: string;
  readonly actor: string;
  readonly nowMs: number;
}

/** Blocks an address or network, or changes reason and end of a block. `ownAddress` is the address of the caller. */
export async function blockAddress(
  database: Database,
  order: AddressBlockOrder & {
    readonly seconds: number;
    readonly ownAddress: string;
    readonly balancers: Pick<Balancers, 'listedIn'>;
  },
): Promise<AddressBlockRow> {
  const { reason, actor, nowMs, seconds, ownAddress, balancers } = order;
  const network = namedNetwork(order.network);
  if (networkHas(network, ownAddress))
    throw new HubError('conflict', `${network} has your own address ${ownAddress}: you would cut yourself off`);
  const balancer = balancers.listedIn(network);
  if (balancer !== undefined)
    throw new HubError(
      'conflict',
      `${network} has addresses of the balancer ${balancer} (proxyProtocol.from): every client behind it would be cut off. Block the client's address`,
    );
  const row = { network, reason, blocked_by: actor, blocked_at: nowMs, expires_at: nowMs + seconds * 1_000 };
  await database.write(async (trx) => {
    await clearEnded(trx, nowMs);
    await trx.deleteFrom('address_block').where('network', '=', network).execute();
    const { count } = await trx
      .selectFrom('address_block')
      .select((q) => q.fn.countAll<number>().as('count'))
      .executeTakeFirstOrThrow();
    if (count >= BLOCKS_MAX)
      throw new HubError('conflict', `limit of blocked addresses reached (${BLOCKS_MAX}): block networks`);
    await trx.insertInto('address_block').values(row).execute();
    const data = { reason, expiresAt: row.expires_at };
    await appendEntry(trx, { at: nowMs, kind: 'address-blocked', actor, subject: `address:${network}`, data });
    // This makes every node reload the blocks.
    await announceDisconnects(trx, []);
  });
  return row;
}

export async function unblockAddress(database: Database, order: AddressBlockOrder): Promise<string> {
  const { reason, actor, nowMs } = order;
  const network = namedNetwork(order.network);
  await database.write(async (trx) => {
    const gone = await trx
      .deleteFrom('address_block')
      .where('network', '=', network)
      .returning('reason')
      .executeTakeFirst();
    if (gone === undefined)
      throw new HubError('not-found', `${network} is not blocked: \`edgekeep address list\` shows what is`);
    const data = { reason, was: gone.reason };
    await appendEntry(trx, { at: nowMs, kind: 'address-unblocked', actor, subject: `address:${network}`, data });
    await announceDisconnects(trx, []);
  });
  return network;
}

/** The blocks that are in effect now, by network, after `after`. */
export async function listBlocks(
  db: Kysely<Tables>,
  { after, limit, nowMs }: { readonly after: string; readonly limit: number; readonly nowMs: number },
): Promise<readonly AddressBlockRow[]> {
  return db
    .selectFrom('address_block')
    .selectAll()
    .where('network', '>', after)
    .where('expires_at', '>', nowMs)
    .orderBy('network')
    .limit(limit)
    .execute();
}

// The audit log keeps what was blocked and until when.
async function clearEnded(trx: WriteTransaction, nowMs: number): Promise<void> {
  await trx.deleteFrom('address_block').where('expires_at', '<=', nowMs).execute();
}
