// An alert while the list of a root has ended, or soon does (spec/authorities.md, "The list of a root"): a device with the last one cannot tell
// whether a later one ends the CA of the server that it talks to.
import { parseCrl } from '@edgekeep/core/identity/crl';
import { counted } from '@edgekeep/core/counted';
import { weighAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import { readRoots } from './state.ts';

const daySeconds = 86_400;

export async function weighRootLists(
  database: Database,
  { alarmDays, nowMs }: { readonly alarmDays: number; readonly nowMs: number },
): Promise<void> {
  const roots = (await readRoots(database.read)).filter(({ status }) => status !== 'dropped');
  const left = roots.flatMap(({ sha256, list }) => {
    if (list === undefined) return [];
    return [{ sha256, days: Math.floor((parseCrl(list).nextUpdateSeconds - nowMs / 1_000) / daySeconds) }];
  });
  const due = left.filter(({ days }) => days < alarmDays);
  const reasons = due.map(({ sha256, days }) => {
    const root = `the list of the root ${sha256.slice(0, 16)}`;
    return days < 0 ? `${root} has ended` : `${root} ends in ${counted(days, 'day')}`;
  });
  await weighAlert(
    database,
    { kind: 'root-list', subject: { part: 'authorities' }, nowMs },
    reasons.length === 0
      ? { settled: 'the root has signed its next list' }
      : {
          severity: due.some(({ days }) => days < 0) ? 'high' : 'medium',
          title: `${reasons.join('; ')}: \`edgekeep root sign-crl\`, then \`edgekeep authority install-crl\``,
          data: { roots: due.map(({ sha256 }) => sha256) },
        },
  );
}
