// An alert while one issuing CA issues for several classes, as hubs did before there were classes (spec/authorities.md, "Classes of issuing CAs"):
// who has its key can make a server, and agents cannot refuse it. Over when each class has a CA of its own.
import { issuedClasses } from '@edgekeep/core/identity/issuing-scope';
import { weighAlert } from '../alert/alerts.ts';
import type { Database } from '../store/database.ts';
import type { AuthorityState } from './state.ts';

export async function weighGeneral(
  database: Database,
  { active }: Pick<AuthorityState, 'active'>,
  nowMs: number,
): Promise<void> {
  const classes = issuedClasses.filter((each) => active[each].class === 'general');
  const about = { kind: 'general-authority', subject: { part: 'authorities' }, nowMs } as const;
  if (classes.length === 0) return weighAlert(database, about, { settled: 'each class has an issuing CA of its own' });
  await weighAlert(database, about, {
    severity: 'medium',
    title: `one issuing CA issues for ${classes.join(', ')}: \`edgekeep authority request\`, have the root sign, install and activate`,
    data: { classes },
  });
}
