// The trust file of this hub: what a verifier of its log and receipts needs. It names each device as a witness, so the reading thread
// converts that list to text; anybody may ask for it.
import { alwaysLog, alwaysPublisher, encodeTrust, keysOfList, withSecondKeys } from '@edgekeep/core/access/trust';
import type { VerifierKey } from '@edgekeep/core/audit/note';
import { groupedPolicy, POLICY_WITNESSES_MAX } from '@edgekeep/core/audit/quorum';
import { utf8 } from '@edgekeep/core/bytes';
import { HubError } from '../../common/error.ts';
import type { WitnessPolicies } from '../../audit/witness-policy.ts';
import { joined } from './joined.ts';
import { listPublishers } from '../../publisher/publishers.ts';
import type { HubKeyRing } from '../../authority/hub-key-ring.ts';
import type { Database } from '../../store/database.ts';
import { fleetText } from './trust-fleet.ts';

export type TrustFile = () => Promise<Uint8Array>;

/** The present file; `log` is the log's key, with its second one where it has one. Callers that ask while one is made share the next. Throws `conflict` while nothing can be verified. */
export function trustFile(
  database: Database,
  keyRing: Pick<HubKeyRing, 'listed' | 'state'>,
  policies: Pick<WitnessPolicies, 'current'>,
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
    const policy = policies.current();
    const fleet = await fleetText(database.readApart, policy);
    if (fleet.witnesses > POLICY_WITNESSES_MAX) {
      const message = `a trust file has room for ${POLICY_WITNESSES_MAX} witnesses, there are ${fleet.witnesses}`;
      throw new HubError('conflict', message);
    }
    const listed = keysOfList(keyRing.listed);
    const empty = encodeTrust({
      ...listed,
      logs: withSecondKeys(listed.logs, [alwaysLog(log)]),
      keyList: keyRing.state.list?.file,
      publisherKeys: publishers.map(({ publicKey, postQuantum }) => alwaysPublisher({ publicKey, postQuantum })),
      policy: groupedPolicy([], 'none'),
      whenUnmet: policy.whenUnmet,
    });
    const text = Buffer.from(empty).toString('utf8');
    // In the form of `encodeTrust`.
    const whole = text
      .replace('"text": "quorum none\\n"', () => `"text": ${fleet.text}`)
      .replace('"ended": {}', () => `"ended": ${fleet.ended}`)
      .replace('"unreachable": null', () => `"unreachable": ${fleet.unreachable}`);
    return utf8(whole);
  });
}
