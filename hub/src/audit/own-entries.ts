// The audit entries about one device: as actor or as subject.
import { parseAuditEntry } from '@edgekeep/core/audit/entry';
import { toBase64url } from '@edgekeep/core/bytes';
import type { Kysely } from 'kysely';
import type { Tables } from '../store/schema.ts';

// The number of entries read at once. If a device's entries lie further on, it asks again from `next`.
const SCANNED_MAX = 2_000;

/** The bytes as they were logged, so that a proof fits them. `next` is the index to continue at; null at the end of the log. */
export async function readOwnEntries(
  db: Kysely<Tables>,
  deviceId: string,
  page: { readonly from: number; readonly limit: number },
): Promise<{ readonly entries: { index: number; entry: string }[]; readonly next: number | null }> {
  const rows = await db
    .selectFrom('audit_entry')
    .select(['log_index', 'entry'])
    .where('log_index', '>=', page.from)
    .orderBy('log_index')
    .limit(SCANNED_MAX)
    .execute();
  const own = `device:${deviceId}`;
  const entries: { index: number; entry: string }[] = [];
  for (const { log_index: index, entry } of rows) {
    const { actor, subject } = parseAuditEntry(entry);
    if (actor === own || subject === own) entries.push({ index, entry: toBase64url(entry) });
    if (entries.length === page.limit) return { entries, next: index + 1 };
  }
  const last = rows.at(-1);
  return { entries, next: rows.length < SCANNED_MAX || last === undefined ? null : last.log_index + 1 };
}
