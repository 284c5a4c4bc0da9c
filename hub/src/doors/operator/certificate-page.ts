// A page of the certificates that the hub issued.
import { deviceIdSchema } from '@edgekeep/wire/api/device';
import { certificateList } from '@edgekeep/wire/api/revocation';
import { z } from 'zod';
import type { Page } from '../../store/page.ts';

export const certificateQuery = z.strictObject({
  device: deviceIdSchema.optional(),
  state: z.enum(['any', 'valid', 'revoked', 'ended']).default('any'),
  after: z.string().max(40).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});

const query = certificateQuery.extend({ nowMs: z.number() });

export const certificatePage: Page<z.infer<typeof query>, typeof certificateList> = {
  name: 'certificates',
  query,
  answer: certificateList,
  async make(db, { device, state, after, limit, nowMs }) {
    let rows = db
      .selectFrom('certificate')
      .select([
        'serial',
        'device_id as deviceId',
        'workload',
        'sha256',
        'not_before as notBefore',
        'not_after as notAfter',
        'revoked_at as revokedAt',
        'revocation_reason as reason',
      ])
      .where('serial', '>', after)
      .orderBy('serial')
      .limit(limit);
    if (device !== undefined) rows = rows.where('device_id', '=', device);
    if (state === 'revoked') rows = rows.where('revoked_at', 'is not', null);
    if (state === 'ended') rows = rows.where('not_after', '<', nowMs);
    if (state === 'valid') rows = rows.where('revoked_at', 'is', null).where('not_after', '>=', nowMs);
    const certificates = await rows.execute();
    const next = certificates.length === limit ? (certificates.at(-1)?.serial ?? null) : null;
    return { certificates, next };
  },
};
