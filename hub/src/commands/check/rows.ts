// Compares the rows that decide with the log, as a start does (docs/design/security-state.md). Codes of entries are checked where the key is a plain
// file; where it is sealed, the log's last checkpoint has to lead to the entries.
import type { Kysely } from 'kysely';
import { join } from 'node:path';
import { failed, type Finding, ok } from '@edgekeep/host/finding';
import { logProblem } from '../../audit/log-verification.ts';
import { findingsText } from '../../audit/security-state.ts';
import { checkState } from '../../audit/state-check.ts';
import { readStateKey } from '../../secrets/state-key.ts';
import { plainKeys } from '../../secrets/plain-keys.ts';
import type { Tables } from '../../store/schema.ts';

const next = 'docs/design/security-state.md, "What to do"';

export async function checkRows(db: Kysely<Tables>, folder: string): Promise<readonly Finding[]> {
  const key = await readStateKey(plainKeys(join(folder, 'keys')));
  const problem = await logProblem(db);
  if (problem !== undefined) return [failed('log', problem, next)];
  return [await rowsFinding(db, key)];
}

async function rowsFinding(db: Kysely<Tables>, key: Uint8Array | undefined): Promise<Finding> {
  const verdict = await checkState(db, key);
  if (verdict.kind === 'none') return ok('rows', 'the next start adopts them: the log has no entry about them yet');
  if (verdict.kind === 'forged') return failed('rows', verdict.reasons.join('; '), next);
  if (verdict.findings.length > 0) return failed('rows', findingsText(verdict.findings), next);
  const codes = key === undefined ? '; the codes of its entries were not checked, because the keys are sealed' : '';
  return ok('rows', `${verdict.rows}, as the log says since entry ${verdict.whole}${codes}`);
}
