// Checks whether a workload, a device or a person carries the name of a host (spec/certificates.md, "Names that are hosts").
import { existsSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { type Named, namesInSettings, reachableName, reservedText } from '../../store/hub-names.ts';
import type { HubSettings } from '../../settings.ts';
import { type Finding, ok, warning } from '@edgekeep/host/finding';

const nameRow = z.object({ name: z.string() });
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

/** `path` is the store; problems of the store itself are another finding. */
export function checkNames(path: string, settings: Pick<HubSettings, 'names' | 'publicUrl'>): readonly Finding[] {
  if (!existsSync(path)) return [];
  try {
    using store = new DatabaseSync(path, { readOnly: true, timeout: 5_000 });
    const rows = (sql: string) =>
      store
        .prepare(sql)
        .all()
        .map((row) => nameRow.parse(row).name);
    // A name of the hub that is only in the settings is known to the store at the next start.
    const known = has(store, 'hub_name') ? rows('select name from hub_name') : [];
    const hubNames = [...new Set([...known, ...namesInSettings(settings)])];
    const findings = queries.flatMap(([named, sql, next]) => {
      const found = rows(sql).filter((name) => reservedText(named, name, hubNames) !== undefined);
      if (found.length === 0) return [];
      const shown = `${found.slice(0, SHOWN_MAX).join(', ')}${found.length > SHOWN_MAX ? ', …' : ''}`;
      return [warning('names', `${named} with the name of a host: ${shown}`, next)];
    });
    return findings.length > 0 ? findings : [ok('names', `nothing else is called ${hubNames.join(', ')}`)];
  } catch (error) {
    // A store that cannot be read, or is from before these tables, is another finding.
    if (error instanceof Error && 'errcode' in error) return [];
    throw error;
  }
}

function has(store: DatabaseSync, table: string): boolean {
  return store.prepare("select name from sqlite_master where type = 'table' and name = ?").get(table) !== undefined;
}
