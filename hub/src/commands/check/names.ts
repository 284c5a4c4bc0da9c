// Checks whether a workload, a device or a person carries the name of a host (spec/certificates.md, "Names that are hosts").
import { type Kysely, sql } from 'kysely';
import { type Named, namesInSettings, reachableName, reservedText } from '../../store/hub-names.ts';
import type { HubSettings } from '../../settings.ts';
import { rowSqlOf } from '../../store/engine/row-sql.ts';
import type { Tables } from '../../store/schema.ts';
import { type Finding, ok, warning } from '@edgekeep/host/finding';

const SHOWN_MAX = 5;

// A device that is enrolled keeps its id: its certificate is for clients alone.
const queries: readonly (readonly [Named, string, string])[] = [
  [
    'workload',
    'select name from workload_declaration union select name from workload where disabled_reason is null',
    'it gets no further certificate: declare it under another name (edgekeep workload declare), then remove this one',
  ],
  [
    'device',
    "select id as name from device where state not in ('retired', 'wiped')",
    'a host and a device have one name: enroll it under another id',
  ],
  ['person', 'select name from person where disabled_at is null', 'add them under another name: edgekeep person add'],
];

/** Whether a client can reach the hub by one of its names: kits and operator files take the first. */
export function checkReachable({ names }: Pick<HubSettings, 'names'>): Finding {
  const name = reachableName(names);
  if (name !== undefined) return ok('names', `devices reach the hub as ${name}`);
  return warning(
    'names',
    `no client can reach the hub as ${names.join(', ')}`,
    'add its name or address to `names`, or give --hub with each kit',
  );
}

export async function checkNames(
  db: Kysely<Tables>,
  settings: Pick<HubSettings, 'names' | 'publicUrl'>,
): Promise<readonly Finding[]> {
  // A name of the hub that is only in the settings is known to the store at the next start.
  const known = (await rowSqlOf(db).hasTable(db, 'hub_name')) ? await namesIn(db, 'select name from hub_name') : [];
  const hubNames = [...new Set([...known, ...namesInSettings(settings)])];
  const findings: Finding[] = [];
  for (const [named, query, next] of queries) {
    const found = (await namesIn(db, query)).filter((name) => reservedText(named, name, hubNames) !== undefined);
    if (found.length === 0) continue;
    const shown = `${found.slice(0, SHOWN_MAX).join(', ')}${found.length > SHOWN_MAX ? ', …' : ''}`;
    findings.push(warning('names', `${named} with the name of a host: ${shown}`, next));
  }
  return findings.length > 0 ? findings : [ok('names', `nothing else is called ${hubNames.join(', ')}`)];
}

async function namesIn(db: Kysely<Tables>, query: string): Promise<readonly string[]> {
  const { rows } = await sql<{ name: string }>`${sql.raw(query)}`.execute(db);
  return rows.map(({ name }) => name);
}
