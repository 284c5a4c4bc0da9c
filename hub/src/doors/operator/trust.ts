// The trust file of this hub: what a verifier of its log and receipts needs. Anybody may ask for it, and it names each device as a witness:
// megabytes, which are kept until a device, a publisher, a key or the witness policy changes.
import {
  alwaysLog,
  alwaysPublisher,
  keysOfList,
  type TrustedPublisher,
  trustKeys,
  withSecondKeys,
} from '@edgekeep/core/access/trust';
import type { VerifierKey } from '@edgekeep/core/audit/note';
import type { HubKeyRing } from '../../authority/hub-key-ring.ts';
import type { WitnessPolicies } from '../../audit/witness-policy.ts';
import { HubError } from '../../common/error.ts';
import { manifestsBeforeEnd } from '../../model/ended-publishers.ts';
import { listPublishers, type Publisher } from '../../publisher/publishers.ts';
import type { Database } from '../../store/database.ts';
import type { Document } from '../../store/document.ts';
import { kept } from '../http/kept.ts';
import { trustDocument } from './trust-fleet.ts';

export type TrustFile = () => Promise<Document>;

/** The present file; `log` is the log's key, with its second one where it has one. Throws `conflict` while nothing can be verified. */
export function trustFile(
  database: Database,
  keyRing: Pick<HubKeyRing, 'listed' | 'state'>,
  policies: Pick<WitnessPolicies, 'current'>,
  log: VerifierKey,
): TrustFile {
  return kept({
    revision: () => [
      database.revisionOf([
        'device',
        'former_identity',
        'former_witness_key',
        'publisher',
        'publisher_end',
        'model_release',
      ]),
      keyRing.state,
      policies.current(),
    ],
    async make() {
      const publishers = await listPublishers(database);
      if (publishers.length === 0) {
        throw new HubError(
          'conflict',
          'nothing to verify yet: no publisher is trusted (`edgekeep publisher trust PUB.pem`)',
        );
      }
      const listed = keysOfList(keyRing.listed);
      const manifests = await manifestsBeforeEnd(database.read);
      const keys = trustKeys({
        ...listed,
        logs: withSecondKeys(listed.logs, [alwaysLog(log)]),
        keyList: keyRing.state.list?.file,
        publisherKeys: publishers.map((each) => trustedPublisher(each, manifests)),
      });
      const { quorum, tiers, text, whenUnmet } = policies.current();
      return database.documentApart(trustDocument, { keys, policy: { quorum, tiers, text, whenUnmet } });
    },
  });
}

function trustedPublisher(
  { publicKey, postQuantum, fingerprint, endsAtMs }: Publisher,
  manifests: ReadonlyMap<string, readonly string[]>,
): TrustedPublisher {
  const always = alwaysPublisher({ publicKey, postQuantum });
  if (endsAtMs === undefined) return always;
  return { ...always, untilSeconds: Math.floor(endsAtMs / 1_000), manifests: manifests.get(fingerprint) ?? [] };
}
