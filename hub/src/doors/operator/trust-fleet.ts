// The witnesses of a trust file: a policy in the format of C2SP tlog-policy, with a line for each device that counts. Devices that ended stay
// in it with their end, so that receipts of before keep verifying. The store makes the text: a fleet has many lines.
import type { CurrentWitnessPolicy } from '../../audit/witness-policy.ts';
import { fleetName } from '../../audit/witness-policy.ts';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../../store/schema.ts';

/** Parts of a trust file, each as JSON text. */
export interface FleetText {
  readonly witnesses: number;
  readonly text: string;
  readonly ended: string;
  readonly unreachable: string;
}

interface Row {
  readonly witnesses: number;
  readonly members: number;
  readonly lines: string | null;
  readonly groups: string | null;
  readonly names: string | null;
  readonly ended: string | null;
}

export async function fleetText(db: Kysely<Tables>, policy: CurrentWitnessPolicy): Promise<FleetText> {
  const { quorum, tiers, text } = policy;
  const row = await witnessRow(db, tiers);
  const { witnesses, members } = row;
  const short = quorum > members;
  const tail = text ?? `quorum ${quorum === 0 ? 'none' : fleetName}\n`;
  const whole = [
    ...(row.lines === null ? [] : [row.lines]),
    ...(row.groups === null ? [] : [row.groups]),
    ...(quorum === 0 || short ? [] : [`group ${fleetName} ${quorum} ${row.names ?? ''}`]),
    // A group of fewer members than its threshold cannot be written: the file says it in its own words, and nothing meets it.
    short ? 'quorum none\n' : tail,
  ].join('\n');
  return {
    witnesses,
    text: JSON.stringify(whole),
    ended: row.ended ?? '{}',
    unreachable: short ? JSON.stringify({ required: quorum, available: members }) : 'null',
  };
}

// Who was quarantined, wiped or retired ends at that time; a quarantined device that is released counts again.
async function witnessRow(db: Kysely<Tables>, tiers: readonly string[]): Promise<Row> {
  const chosen = sql`(select value from json_each(${JSON.stringify(tiers)}))`;
  const { rows } = await sql<Row>`
    with witness as (
      select 'device/' || id as name, witness_key as key, replace(witness_origin, ' ', '/') as origin,
        case when state in ('quarantined', 'wiped', 'retired') then
          (select max(at) / 1000 from device_history h where h.device_id = device.id and h.to_state = device.state)
        end as ended
      from device where witness_key <> '' and tier in ${chosen}
      union all
      select 'device/' || device_id || '/' || generation, witness_key, '', ended_at / 1000
      from former_identity where witness_key <> '' and tier in ${chosen}
    ),
    shared as (
      select origin, group_concat(name, ' ' order by name) as names from witness where origin <> '' group by origin
    ),
    member as (
      select name from witness where origin = '' union all select origin from shared
    )
    select
      (select count(*) from witness) as witnesses,
      (select count(*) from member) as members,
      (select group_concat('witness ' || name || ' ' || key, char(10) order by name) from witness) as lines,
      (select group_concat('group ' || origin || ' any ' || names, char(10) order by origin) from shared) as "groups",
      (select group_concat(name, ' ' order by name) from member) as names,
      (select json_group_object(name, ended) from witness where ended is not null) as ended`.execute(db);
  const [row] = rows;
  if (row === undefined) throw new TypeError('a query of counts has one row');
  return row;
}
