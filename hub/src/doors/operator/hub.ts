// Operator API: what a new device must know about this hub (`edgekeep enroll kit`): name, port, and the public keys that it pins.
import { encodeVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { encodePem } from '@edgekeep/core/identity/pem';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import { hubView } from '@edgekeep/wire/api/hub';
import type { Authorities } from '../../authority/authorities.ts';
import type { RequireScope } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import type { HubKeyRing } from '../../authority/hub-key-ring.ts';
import { publishersInUse } from '../../model/ended-publishers.ts';
import { listPublishers } from '../../publisher/publishers.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { reachableName } from '../../store/hub-names.ts';
import type { HubTime } from '../../store/hub-time.ts';

export function hubRoutes(
  app: HttpServer,
  dependencies: {
    database: Database;
    keyRing: Pick<HubKeyRing, 'attestation'>;
    authorities: Authorities;
    names: readonly string[];
    log: { readonly key: VerifierKey };
    /** Read late: with port 0 the number is known once the device listener is open. */
    devicePort: () => number;
    requireScope: RequireScope;
    settings: Pick<HubSettings, 'attestation'>;
    time: Pick<HubTime, 'problem' | 'now'>;
  },
): void {
  const { database, keyRing, authorities, names, log, devicePort, requireScope } = dependencies;

  app.get('/v1/hub', { ...requireScope('devices:read'), schema: { response: { 200: hubView } } }, async () => ({
    name: reachableName(names) ?? names[0] ?? 'localhost',
    devicePort: devicePort(),
    root: encodePem('CERTIFICATE', authorities.root.der),
    logKey: encodeVerifierKey(log.key),
    attestationKey: encodePublicKeyPem(keyRing.attestation().signer.publicKey),
    clockProblem: dependencies.time.problem() ?? null,
    coveredPcrs: dependencies.settings.attestation.coveredPcrs,
    publisherKeys: await publisherKeys(database, dependencies.time.now()),
  }));
}

// A new device runs what is published, also of a publisher that has ended; of one with nothing left it gets no key.
async function publisherKeys(database: Database, nowMs: number): Promise<string[]> {
  const used = await publishersInUse(database.read);
  const publishers = await listPublishers(database);
  return publishers
    .filter(({ fingerprint, endsAtMs = Infinity }) => endsAtMs > nowMs || used.has(fingerprint))
    .map(({ publicKeyPem }) => publicKeyPem);
}
