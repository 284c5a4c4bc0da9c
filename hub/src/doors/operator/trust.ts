// The trust file of this hub: what a verifier of its log and receipts needs. It names each device as a witness, so the reading thread
// converts that list to text; anybody may ask for it.
import { alwaysLog, alwaysPublisher, encodeTrust, keysOfList, withSecondKeys } from '@edgekeep/core/access/trust';
import type { VerifierKey } from '@edgekeep/core/audit/note';
import { POLICY_WITNESSES_MAX } from '@edgekeep/core/audit/quorum';
import { utf8 } from '@edgekeep/core/bytes';
import { type Kysely, sql } from 'kysely';
import { HubError } from '../../common/error.ts';
import { joined } from './joined.ts';
import { listPublishers } from '../../publisher/publishers.ts';
import type { HubKeyRing } from '../../authority/hub-key-ring.ts';
import type { Database } from '../../store/database.ts';
import type { Tables } from '../../store/schema.ts';

export type TrustFile = () => Promise<Uint8Array>;

/** The present file; `log` is the log's key, with its second one where it has one. Callers that ask while one is made share the next. Throws `conflict` while nothing can be verified. */
export function trustFile(
  database: Database,
  keyRing: Pick<HubKeyRing, 'listed' | 'state'>,
  quorum: number,
  log: VerifierKey,
): TrustFile {
  return joined(async () => {
    const publishers = await listPublishers(database);
    if (publishers.length === 0) {
      throw new HubError(
        'conflict',
        'nothing to verify yet: no publisher is trusted (`edgekeep publisher trust PUB.pem`)',
      );
    }
    const { count, lines } = await witnessLines(database.readApart);
    if (count > POLICY_WITNESSES_MAX)
      throw new HubError('conflict', `a trust file has room for ${POLICY_WITNESSES_MAX} witnesses, there are ${count}`);
    const listed = keysOfList(keyRing.listed);
    const empty = encodeTrust({
      ...listed,
      logs: withSecondKeys(listed.logs, [alwaysLog(log)]),
      keyList: keyRing.state.list?.file,
      publisherKeys: publishers.map(({ publicKey, postQuantum }) => alwaysPublisher({ publicKey, postQuantum })),
      // A fleet smaller than the quorum cannot reach it, but the file must still be valid for readers.
      policy: { witnesses: [], quorum: Math.min(quorum, count) },
    });
    if (count === 0) return empty;
    const text = Buffer.from(empty).toString('utf8');
    return utf8(text.replace('"witnesses": []', () => `"witnesses": [\n${lines}\n  ]`));
  });
}

// In the form of `encodeTrust`: one key per line, no key twice (registry/witness-keys.ts). A device without a witness key is not a witness.
async function witnessLines(db: Kysely<Tables>): Promise<{ readonly count: number; readonly lines: string }> {
  const keys = db
    .selectFrom('device')
    .select(['id', sql<string>`'    ' || json_quote(witness_key)`.as('line')])
    .where('state', '!=', 'retired')
    .where('witness_key', '!=', '');
  const { count, lines } = await db
    .selectFrom(keys.as('keys'))
    .select((q) => [
      q.fn.countAll<number>().as('count'),
      sql<string | null>`group_concat(line, ',' || char(10) order by id)`.as('lines'),
    ])
    .executeTakeFirstOrThrow();
  return { count, lines: lines ?? '' };
}
