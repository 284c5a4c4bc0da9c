// What a verifier of this hub's log and receipts needs: the public keys of the hub and its publishers, and its devices as witnesses.
import type { KeyObject } from 'node:crypto';
import type { Trust } from '@edgekeep/core/access/trust';
import { parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { witnessPolicy } from '@edgekeep/core/audit/quorum';
import { HubError } from '../../error.ts';
import { listPublishers } from '../../publisher/publishers.ts';
import type { Database } from '../../store/database.ts';

export type TrustSource = () => Promise<Trust>;

export function trustSource(
  database: Database,
  keys: { readonly log: VerifierKey; readonly attestation: KeyObject },
  quorum: number,
): TrustSource {
  return async () => {
    const publishers = await listPublishers(database);
    if (publishers.length === 0) {
      throw new HubError(
        'conflict',
        'nothing to verify yet: no publisher is trusted (`edgekeep publisher trust PUB.pem`)',
      );
    }
    const devices = await database.read
      .selectFrom('device')
      .select('witness_key')
      .where('state', '!=', 'retired')
      // A device without a witness key is not a witness.
      .where('witness_key', '!=', '')
      .execute();
    const witnesses = devices.map((device) => parseVerifierKey(device.witness_key));
    return {
      logKey: keys.log,
      attestationKeys: [keys.attestation],
      publisherKeys: publishers.map((publisher) => publisher.publicKey),
      // A fleet smaller than the quorum cannot reach it, but the file must still be valid for readers.
      policy: witnessPolicy(witnesses, Math.min(quorum, witnesses.length)),
    };
  };
}
