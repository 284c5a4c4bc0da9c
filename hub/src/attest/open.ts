// Opens attestation: reference values, the keys of roots of trust, and the appraiser of evidence.
import type { Clock } from '../common/clock.ts';
import type { Subject } from '../common/subject.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import { makersOf } from '../vendor-root/device-makers.ts';
import { vendorRootVersion, type VendorRoots } from '../vendor-root/vendor-roots.ts';
import type { Registry } from 'prom-client';
import { type AppraisalSettings, Appraiser, type ResultKey } from './appraiser.ts';
import { registerImaMetrics } from './ima-alarm.ts';
import type { PublishingRules } from './reference-rules.ts';
import { ReferenceStandings, type StandingSettings } from './reference-standings.ts';
import { ReferenceStore } from './reference-store.ts';
import type { RootKeys } from './root-keys.ts';

export interface AttestationSettings {
  readonly pcrs: readonly number[];
  readonly attestation: AppraisalSettings['attestation'] &
    PublishingRules['attestation'] &
    StandingSettings['attestation'];
  readonly alerts: AppraisalSettings['alerts'] & StandingSettings['alerts'] & { readonly bootsNotCompared: boolean };
}

interface AttestationLedger {
  readonly database: Database;
  readonly settings: AttestationSettings;
  readonly clock: Clock;
}

export interface Attestation extends Subject {
  readonly references: ReferenceStore;
  readonly rootKeys: RootKeys;
  readonly appraiser: Appraiser;
  readonly standings: ReferenceStandings;
}

/** `signing` is the key that signs attestation results now; `epoch` names the stretch of time in which the hub's clock was not set. */
export function openAttestation(
  { database, settings, clock }: AttestationLedger,
  { vendorRoots, rootKeys }: { readonly vendorRoots: VendorRoots; readonly rootKeys: RootKeys },
  { signing, epoch }: { readonly signing: () => ResultKey; readonly epoch: () => string },
): Attestation {
  const references = new ReferenceStore(database, settings, clock);
  const standings = new ReferenceStandings(database, references, settings, clock);
  const makers = {
    diceTrust: () => vendorRoots.trust('dice'),
    trusted: () => String(vendorRoots.version),
    trustedIn: async (trx: WriteTransaction) => String(await vendorRootVersion(trx)),
    tierReasons: async (deviceId: string) => (await makersOf(database.read, deviceId)).flatMap(({ notes }) => notes),
  };
  const appraiser = new Appraiser({ database, references, rootKeys, signing, makers, settings, epoch });
  const metrics = (registry: Registry): void => {
    standings.metrics(registry);
    registerImaMetrics(registry, database);
  };
  return { references, rootKeys, appraiser, standings, jobs: [standings.job], metrics };
}
