// An alert while the root has to sign the next key list (spec/key-list.md): there is none, it runs out, it was signed by a root that is not in use
// any more, a key of it ends and the hub has no next one, or it does not say of a stolen key that it was stolen.
import { keyIdOf } from '@edgekeep/core/authority/key-list';
import { counted } from '@edgekeep/core/counted';
import { weighAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import { type HubKeyState, readHubKeys } from './hub-key-ring.ts';
import { readRoots } from './state.ts';

const daySeconds = 86_400;
const remedy = '`edgekeep authority request-keys`, have the root sign, install';

export async function weighKeyList(
  database: Database,
  { keyListAlarmDays, nowMs }: { readonly keyListAlarmDays: number; readonly nowMs: number },
): Promise<void> {
  const state = await readHubKeys(database.read);
  const current = (await readRoots(database.read)).find(({ status }) => status === 'current')?.sha256;
  const reasons = keyListReasons(state, { currentRoot: current, alarmDays: keyListAlarmDays, nowMs });
  const isGrave = isOver(state, nowMs) || unsaidThefts(state).length > 0;
  await weighAlert(
    database,
    { kind: 'key-list', subject: { part: 'authorities' }, nowMs },
    reasons.length === 0
      ? { settled: 'the root has signed the next key list' }
      : {
          severity: isGrave ? 'high' : 'medium',
          title: `${reasons.join('; ')}: ${remedy}`,
          data: { number: state.list?.list.number ?? 0 },
        },
  );
}

/** Why the root has to sign; empty for nothing. */
export function keyListReasons(
  { rows, list }: HubKeyState,
  at: { readonly currentRoot: string | undefined; readonly alarmDays: number; readonly nowMs: number },
): readonly string[] {
  if (list === undefined) return ['the root has not signed the keys of log and attestation results'];
  const nowSeconds = at.nowMs / 1_000;
  const left = Math.floor((list.list.validUntilSeconds - nowSeconds) / daySeconds);
  const reasons: string[] = [];
  if (left < 0) reasons.push(`the key list ${list.list.number} is too old`);
  else if (left < at.alarmDays) reasons.push(`the key list ${list.list.number} is too old in ${counted(left, 'day')}`);
  if (list.rootSha256 !== at.currentRoot) reasons.push('the key list was signed by a root that is not the one in use');
  for (const { purpose, status, until_seconds: until } of rows) {
    const ends = status === 'active' && until !== null && until < nowSeconds + at.alarmDays * daySeconds;
    const replaced = rows.some((row) => row.purpose === purpose && row.status === 'next');
    if (ends && !replaced) reasons.push(`the ${purpose} key ends and there is no next one`);
  }
  return [...reasons, ...unsaidThefts({ rows, list })];
}

/** Prepared keys that were declared stolen, and that the installed list names as good. */
function unsaidThefts({ rows, list }: HubKeyState): readonly string[] {
  const good = new Set(list?.list.keys.filter(({ compromised }) => !compromised).map(keyIdOf));
  return rows
    .filter(({ id, compromised }) => compromised === 1 && good.has(id))
    .map(({ id, purpose }) => `the ${purpose} key ${id.slice(0, 16)} was stolen, and the key list does not say so`);
}

function isOver({ list }: HubKeyState, nowMs: number): boolean {
  return list !== undefined && list.list.validUntilSeconds <= nowMs / 1_000;
}
