// Which devices an import admits (spec/registry.md, "Import"): ids reserved for one root of trust, and roots of trust that are blocked.
import type { Kysely } from 'kysely';
import { HubError } from '../common/error.ts';
import type { Tables } from '../store/schema.ts';

export interface EnrollmentCandidate {
  readonly deviceId: string;
  /** SHA-256 of its root of trust's public key, hex. */
  readonly rootSha256: string;
}

/**
 * True when exactly this root of trust is expected under exactly this id. Throws `enrollment-refused` for a root of trust or id that the
 * import excludes.
 */
export async function isExpected(db: Kysely<Tables>, { deviceId, rootSha256 }: EnrollmentCandidate): Promise<boolean> {
  await assertNotBlocked(db, [rootSha256], 'root of trust');
  const rows = await db
    .selectFrom('expected_device')
    .select(['id', 'root_sha256'])
    .where((eb) => eb.or([eb('id', '=', deviceId), eb('root_sha256', '=', rootSha256)]))
    .execute();
  for (const { id, root_sha256: root } of rows) {
    if (id !== deviceId) throw refused('root-of-trust-reserved', `this root of trust is expected as ${id}`);
    if (root !== null && root !== rootSha256)
      throw refused('device-id-reserved', `${deviceId} is reserved for another root of trust`);
  }
  return rows.some(({ root_sha256: root }) => root === rootSha256);
}

/** Throws `enrollment-refused` for a root of trust or an IDevID that is blocked by any of its digests. */
export async function assertNotBlocked(
  db: Kysely<Tables>,
  digests: readonly string[],
  what: 'root of trust' | 'IDevID',
): Promise<void> {
  if (digests.length === 0) return;
  const blocked = await db
    .selectFrom('blocked_root')
    .select('reason')
    .where('root_sha256', 'in', digests)
    .executeTakeFirst();
  if (blocked !== undefined) throw refused('root-of-trust-blocked', `this ${what} is blocked: ${blocked.reason}`);
}

function refused(code: string, message: string): HubError {
  return new HubError('enrollment-refused', message, { reasons: [{ code, message }] });
}
