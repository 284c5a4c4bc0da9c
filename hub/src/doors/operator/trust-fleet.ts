// The reading thread's part of the trust file: the fleet's witnesses. Their policy is in the format of C2SP tlog-policy, with a line for each
// device that counts. Devices that ended stay in it with their end, so that receipts of before keep verifying.
import { encodeTrustFile, type TrustWitnessPolicy, whenUnmetChoices } from '@edgekeep/core/access/trust';
import { POLICY_WITNESSES_MAX } from '@edgekeep/core/audit/quorum';
import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import { fleetName } from '../../audit/witness-policy.ts';
import { HubError } from '../../common/error.ts';
import type { PublicDocument } from '../../store/page.ts';
import type { Tables } from '../../store/schema.ts';

const query = z.object({
  keys: z.record(z.string(), z.unknown()),
  policy: z.object({
    quorum: z.int(),
    tiers: z.array(z.string()),
    text: z.string().nullable(),
    whenUnmet: z.enum(whenUnmetChoices),
  }),
});

type Policy = z.infer<typeof query>['policy'];

export const trustDocument: PublicDocument<z.infer<typeof query>> = {
  name: 'trust',
  query,
  make: async (db, { keys, policy }) => encodeTrustFile(keys, witnessPolicyOf(await fleetOf(db, policy.tiers), policy)),
};

function witnessPolicyOf(fleet: Fleet, { quorum, text, whenUnmet }: Policy): TrustWitnessPolicy {
  if (fleet.witnesses > POLICY_WITNESSES_MAX) {
    const message = `a trust file has room for ${POLICY_WITNESSES_MAX} witnesses, there are ${fleet.witnesses}`;
    throw new HubError('conflict', message);
  }
  const available = fleet.members;
  // A group of fewer members than its threshold cannot be written: the file says it in its own words, and nothing meets it.
  const unreachable = quorum > available ? { required: quorum, available } : null;
  const group = quorum === 0 || unreachable !== null ? null : `group ${fleetName} ${quorum} ${fleet.names ?? ''}`;
  const tail = text ?? `quorum ${quorum === 0 ? 'none' : fleetName}\n`;
  const lines = [fleet.lines, fleet.groups, group, unreachable === null ? tail : 'quorum none\n'];
  return {
    witnessPolicy: {
      text: lines.filter((line) => line !== null).join('\n'),
      whenUnmet,
      ended: endedOf(fleet.ended),
      unreachable,
    },
  };
}

/** A line has a name and when it ended. */
function endedOf(lines: string | null): Readonly<Record<string, number>> {
  const pairs = (lines ?? '').split('\n').filter((line) => line !== '');
  return Object.fromEntries(
    pairs.map((line) => {
      const space = line.lastIndexOf(' ');
      return [line.slice(0, space), Number(line.slice(space + 1))] as const;
    }),
  );
}

interface Fleet {
  readonly witnesses: number;
  /** Those that count for themselves, and groups that count once. */
  readonly members: number;
  readonly lines: string | null;
  readonly groups: string | null;
  readonly names: string | null;
  readonly ended: string | null;
}

// Who was quarantined, wiped or retired ends at that time; a quarantined device that is released counts again. A device counts once with all
// the keys that it has and had: it may hold the private keys of all of them.
async function fleetOf(db: Kysely<Tables>, tiers: readonly string[]): Promise<Fleet> {
  // No tier has an empty name: it makes a list without any.
  const chosen = sql`(${sql.join(tiers.length === 0 ? [''] : tiers)})`;
  const { rows } = await sql<Fleet>`
    with line as (
      select 'device/' || id as name, id as device, witness_key as key, witness_origin as origin,
        case when state in ('quarantined', 'wiped', 'retired') then
          (select max(at) / 1000 from device_history h where h.device_id = device.id and h.to_state = device.state)
        end as ended
      from device where witness_key <> '' and tier in ${chosen}
      union all
      select 'device/' || f.device_id || '/' || f.generation, f.device_id, f.witness_key, d.witness_origin, f.ended_at / 1000
      from former_identity f join device d on d.id = f.device_id where f.witness_key <> '' and f.tier in ${chosen}
      union all
      select 'device/' || f.device_id || '/key/' || f.number, f.device_id, f.witness_key, d.witness_origin, f.ended_at / 1000
      from former_witness_key f join device d on d.id = f.device_id where f.tier in ${chosen}
    ),
    witness as (
      select name, key, ended, case
        when origin <> '' then replace(origin, ' ', '/')
        when device in (select device from line group by device having count(*) > 1) then 'device/' || device || '/any'
        else ''
      end as origin
      from line
    ),
    shared as (
      select origin, string_agg(name, ' ' order by name) as names from witness where origin <> '' group by origin
    ),
    member as (
      select name from witness where origin = '' union all select origin from shared
    )
    select
      (select count(*) from witness) as witnesses,
      (select count(*) from member) as members,
      (select string_agg('witness ' || name || ' ' || key, ${'\n'} order by name) from witness) as lines,
      (select string_agg('group ' || origin || ' any ' || names, ${'\n'} order by origin) from shared) as "groups",
      (select string_agg(name, ' ' order by name) from member) as names,
      (select string_agg(name || ' ' || ended, ${'\n'} order by name) from witness where ended is not null) as ended`.execute(
    db,
  );
  const [row] = rows;
  if (row === undefined) throw new TypeError('a query of counts has one row');
  return row;
}
