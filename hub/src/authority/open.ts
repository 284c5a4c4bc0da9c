// Opens the hub's authorities: the CAs, the certificate of its listeners, and the status of what they issued.
import type { Clock } from '../common/clock.ts';
import type { RevocationWatch } from '../revocation/watch.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import type { Database } from '../store/database.ts';
import type { Job, Subject } from '../common/subject.ts';
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

type AuthoritySettings = ServerCredentialDependencies['settings'] &
  RevocationSettings & { readonly authorities: { readonly checkSeconds: number } };

export async function openAuthority(
  folder: string,
  ledger: {
    readonly database: Database;
    readonly keyStore: KeyStore;
    readonly watch: RevocationWatch;
    /** The machine's: while it is behind the hub's time, operators must be able to connect (docs/design/hub-time.md). */
    readonly machineClock: Clock;
  },
  settings: AuthoritySettings,
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
  // Each node has a certificate of its own; a single one renews it with the other work on authorities.
  const renewal: Job = {
    name: 'server-certificate',
    summary: "renews the certificate of this node's listeners",
    everyMilliseconds: settings.authorities.checkSeconds * 1_000,
    runsOn: 'every-node',
    run: () => credential.renewWhenDue(),
  };
  return {
    jobs: database.isShared ? [renewal] : [],
    authorities,
    credential,
    status,
    ownCertificates,
    follows: { tables: ['root_authority', 'issuing_authority'], read: () => authorities.reload() },
    metrics: (registry) => registerExpiryMetric(registry, ownCertificates, clock),
  };
}
