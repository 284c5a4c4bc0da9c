// Opens the hub's authorities: the CAs, the certificate of its listeners, and the status of what they issued.
import type { Clock } from '../common/clock.ts';
import type { RevocationWatch } from '../revocation/watch.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database } from '../store/database.ts';
import type { Subject } from '../common/subject.ts';
import { Authorities } from './authorities.ts';
import type { OwnCertificate } from './expiry.ts';
import { registerExpiryMetric } from './expiry-metric.ts';
import { type RevocationSettings, RevocationStatus } from './revocation-status.ts';
import { LiveCredential, type ServerCredentialDependencies } from './server-credential.ts';

export interface AuthoritySubject extends Subject {
  readonly authorities: Authorities;
  /** The credential of both listeners. */
  readonly credential: LiveCredential;
  readonly status: RevocationStatus;
  /** The certificates that the hub's own trust depends on, at this moment. */
  readonly ownCertificates: () => Promise<readonly OwnCertificate[]>;
}

export async function openAuthority(
  folder: string,
  ledger: {
    readonly database: Database;
    readonly keyStore: KeyStore;
    readonly watch: RevocationWatch;
    /** The machine's: while it is behind the hub's time, operators must be able to connect (docs/design/hub-time.md). */
    readonly machineClock: Clock;
  },
  settings: ServerCredentialDependencies['settings'] & RevocationSettings,
  clock: Clock,
): Promise<AuthoritySubject> {
  const { database, keyStore, watch, machineClock } = ledger;
  const authorities = await Authorities.open(folder, { database, keyStore, clock });
  const credential = await LiveCredential.open({ database, authorities, settings, clock: machineClock });
  const status = new RevocationStatus({ database, authorities, watch, clock, settings });
  const ownCertificates = async () => [
    ...authorities.ownCertificates,
    { name: 'server', certificate: credential.current.certificate },
    ...(await status.responderCertificates()),
  ];
  return {
    authorities,
    credential,
    status,
    ownCertificates,
    metrics: (registry) => registerExpiryMetric(registry, ownCertificates, clock),
  };
}
