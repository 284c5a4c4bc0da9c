// Devices, workloads and people that carry the name of a host, from before there was the rule against it or before the hub had this name
// (spec/certificates.md, "Names that are hosts"): an alert at each start, for as long as there are any.
import type { Kysely } from 'kysely';
import { raiseAlert, settleAlert } from '../alert/alerts.ts';
import { appendEntry } from '../audit/append.ts';
import { hubNamesOf, type Named, rememberHubNames, reservedText } from '../store/hub-names.ts';
import type { Database } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';

const NAMES_SHOWN_MAX = 20;
/** Device ids have no dots. */
const loopbackIds = ['localhost', 'ip6-localhost', 'ip6-loopback'];

export type ReservedNames = Readonly<Record<Named, readonly string[]>>;

/** Takes over the names of the settings, for ever, and raises or settles the alert about those who carry one. */
export async function weighReservedNames(database: Database, names: readonly string[], nowMs: number): Promise<void> {
  await database.writeAsHub(async (trx) => {
    const added = await rememberHubNames(trx, names, nowMs);
    if (added.length > 0)
      await appendEntry(trx, { at: nowMs, kind: 'hub-named', actor: 'hub', subject: 'hub', data: { names: added } });
    const found = await findReservedNames(trx);
    const about = { kind: 'name-reserved', subject: { part: 'names' }, nowMs } as const;
    const texts = Object.entries(found).flatMap(([named, list]) => list.map((name) => `${named} ${name}`));
    if (texts.length === 0) {
      await settleAlert(trx, { ...about, note: 'nobody carries the name of a host any more' });
      return;
    }
    await raiseAlert(trx, {
      ...about,
      severity: found.workload.length > 0 ? 'high' : 'medium',
      title: `the name of a host is carried by ${texts.slice(0, 3).join(', ')}${texts.length > 3 ? ', …' : ''}: declare or enroll them under another one`,
      data: { ...found },
    });
  });
}

async function findReservedNames(db: Kysely<Tables>): Promise<ReservedNames> {
  const hubNames = await hubNamesOf(db);
  const devices = await db
    .selectFrom('device')
    .select('id as name')
    .where('id', 'in', [...hubNames, ...loopbackIds])
    .where('state', 'not in', ['retired', 'wiped'])
    .execute();
  const workloads = await db
    .selectFrom('workload_declaration')
    .select('name')
    .union(db.selectFrom('workload').select('name').where('disabled_reason', 'is', null))
    .execute();
  const people = await db.selectFrom('person').select('name').where('disabled_at', 'is', null).execute();
  const reserved = (named: Named, rows: readonly { readonly name: string }[]) =>
    rows
      .map(({ name }) => name)
      .filter((name) => reservedText(named, name, hubNames) !== undefined)
      .slice(0, NAMES_SHOWN_MAX);
  return {
    device: reserved('device', devices),
    workload: reserved('workload', workloads),
    person: reserved('person', people),
  };
}
