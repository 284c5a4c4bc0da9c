// Operator API: blocked addresses.
import * as api from '@edgekeep/wire/api/address';
import { z } from 'zod';
import { bodyBytes } from '../http/body-limits.ts';
import type { StoreRouteDependencies } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { AddressBlockRow } from '../../store/tables/address.ts';
import type { Addresses } from '../../address/open.ts';
import { blockAddress, listBlocks, unblockAddress } from '../../address/blocks.ts';

const page = z.strictObject({
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

export function addressRoutes(
  app: HttpServer,
  dependencies: StoreRouteDependencies & Pick<Addresses, 'blocked' | 'balancers'>,
): void {
  const { database, clock, requireScope, blocked, balancers } = dependencies;
  const write = requireScope('devices:write');

  app.get(
    '/v1/blocked-addresses',
    { ...requireScope('devices:read'), schema: { querystring: page, response: { 200: api.blockedAddressList } } },
    async ({ query: { after, limit } }) => {
      const rows = await listBlocks(database.read, { after, limit, nowMs: clock() });
      return { blocked: rows.map(viewOf), next: rows.length === limit ? (rows.at(-1)?.network ?? null) : null };
    },
  );
  app.post(
    '/v1/blocked-addresses',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { body: api.blockAddressRequest, response: { 200: api.blockedAddress } },
    },
    async ({ body, actor, ip: ownAddress }) => {
      const row = await blockAddress(database, { ...body, ownAddress, balancers, actor, nowMs: clock() });
      // Before the response, this node closes the connections from blocked addresses.
      await blocked.reload();
      return viewOf(row);
    },
  );
  app.post(
    '/v1/blocked-addresses/unblock',
    {
      ...write,
      bodyLimit: bodyBytes.order,
      schema: { body: api.unblockAddressRequest, response: { 200: api.unblockedAddress } },
    },
    async ({ body, actor }) => {
      const network = await unblockAddress(database, { ...body, actor, nowMs: clock() });
      await blocked.reload();
      return { network, blocked: false };
    },
  );
}

function viewOf(row: AddressBlockRow) {
  return {
    network: row.network,
    reason: row.reason,
    blockedBy: row.blocked_by,
    blockedAt: row.blocked_at,
    expiresAt: row.expires_at,
  };
}
