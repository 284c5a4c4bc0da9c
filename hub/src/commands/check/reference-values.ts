// Checks whether every published set of reference values can match a boot under the setting `pcrs` (spec/reference-values.md, "A setting that is
// narrower").
import type { Kysely } from 'kysely';
import { CoreError } from '@edgekeep/core/error';
import { neverQuoted, parseReferenceValues } from '@edgekeep/core/attest/reference-values';
import { type Finding, ok, warning } from '@edgekeep/host/finding';
import type { HubSettings } from '../../settings.ts';
import type { Tables } from '../../store/schema.ts';

const SHOWN_MAX = 5;

export async function checkReferenceValues(
  db: Kysely<Tables>,
  { pcrs }: Pick<HubSettings, 'pcrs'>,
): Promise<readonly Finding[]> {
  const rows = await db
    .selectFrom('reference_values')
    .select(['name', 'version', 'document'])
    .where('withdrawn_at', 'is', null)
    .execute();
  const unmatched: string[] = [];
  for (const { name, version, document } of rows) {
    const never = neverIn(document, pcrs);
    // The comparison of rows with the log names a document that was changed in the store.
    if (never === undefined) return [];
    if (never.length > 0) unmatched.push(`${name} ${version} (PCR ${never.join(', ')})`);
  }
  if (unmatched.length === 0) return [ok('reference values', `${rows.length} published, each can match a boot`)];
  const shown = `${unmatched.slice(0, SHOWN_MAX).join(', ')}${unmatched.length > SHOWN_MAX ? ', …' : ''}`;
  const next = 'add the PCRs to the setting pcrs, or withdraw these sets: edgekeep reference withdraw';
  return [warning('reference values', `no boot can match, because a PCR is never quoted: ${shown}`, next)];
}

function neverIn(document: Uint8Array, pcrs: HubSettings['pcrs']): readonly number[] | undefined {
  try {
    return neverQuoted(parseReferenceValues(document), pcrs);
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
