// Pages of the audit log's entries, and of leases, which are listed in the log's order.
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { releaseList } from '@edgekeep/wire/api/access';
import { auditList } from '@edgekeep/wire/api/audit';
import { z } from 'zod';
import type { Page } from '../../store/page.ts';

const query = z.object({ from: z.number(), limit: z.number() });
const queryWithSize = query.extend({ size: z.number() });

export const auditPage: Page<z.infer<typeof queryWithSize>, typeof auditList> = {
  name: 'audit',
  query: queryWithSize,
  answer: auditList,
  async make(db, { from, limit, size }) {
    const rows = await db
      .selectFrom('audit_entry')
      .select(['log_index', 'entry'])
      .where('log_index', '>=', from)
      .orderBy('log_index')
      .limit(limit)
      .execute();
    const entries = rows.map(({ log_index: index, entry }) => {
      const { at, kind, actor, subject, data } = parseAuditEntry(entry);
      return { index, at, kind, actor, subject, data };
    });
    return { size, entries };
  },
};

export const leasePage: Page<z.infer<typeof query>, typeof releaseList> = {
  name: 'leases',
  query,
  answer: releaseList,
  async make(db, { from, limit }) {
    const leases = await db
      .selectFrom('lease')
      .select([
        'id',
        'device_id as deviceId',
        'model',
        'version',
        'not_after as notAfter',
        'revoked_at as revokedAt',
        'log_index as logIndex',
      ])
      .where('log_index', '>=', from)
      .orderBy('log_index', 'desc')
      .limit(limit)
      .execute();
    return { leases };
  },
};
