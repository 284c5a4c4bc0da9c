// Checks whether every published set of reference values can match a boot under the setting `pcrs` (spec/reference-values.md, "A setting that is
// narrower").
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { CoreError } from '@edgekeep/core/error';
import { neverQuoted, parseReferenceValues } from '@edgekeep/core/attest/reference-values';
import { type Finding, ok, warning } from '@edgekeep/host/finding';
import { z } from 'zod';
import type { HubSettings } from '../../settings.ts';

const row = z.object({ name: z.string(), version: z.string(), document: z.instanceof(Uint8Array) });
const SHOWN_MAX = 5;

/** `path` is the store; problems of the store itself are another finding. */
export function checkReferenceValues(path: string, { pcrs }: Pick<HubSettings, 'pcrs'>): readonly Finding[] {
  if (!existsSync(path)) return [];
  try {
    using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const rows = store.prepare('select name, version, document from reference_values where withdrawn_at is null').all();
    const unmatched = rows
      .map((each) => row.parse(each))
      .flatMap(({ name, version, document }) => {
        const never = neverQuoted(parseReferenceValues(document), pcrs);
        return never.length === 0 ? [] : [`${name} ${version} (PCR ${never.join(', ')})`];
      });
    if (unmatched.length === 0) return [ok('reference values', `${rows.length} published, each can match a boot`)];
    const shown = `${unmatched.slice(0, SHOWN_MAX).join(', ')}${unmatched.length > SHOWN_MAX ? ', …' : ''}`;
    const next = 'add the PCRs to the setting pcrs, or withdraw these sets: edgekeep reference withdraw';
    return [warning('reference values', `no boot can match, because a PCR is never quoted: ${shown}`, next)];
  } catch (error) {
    // A store that cannot be read is another finding; so is a document that was changed in it.
    if (error instanceof CoreError || (error instanceof Error && 'errcode' in error)) return [];
    throw error;
  }
}
