// What a release is asked and decided on (spec/access.md), and the rules that are looked at twice: before the evidence, and in the transaction.
import type { Lease } from '@edgekeep/core/access/lease';
import { boundToAsk } from '@edgekeep/core/access/release-ask';
import type { boundWrapType, hybridWrapType } from '@edgekeep/core/access/wrap-context';
import type { Appraisal } from '@edgekeep/core/attest/appraise';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import type { ReleasePolicy } from '@edgekeep/core/model/release-policy';
import { type Appraiser } from '../attest/appraiser.ts';
import type { WitnessPolicies } from '../audit/witness-policy.ts';
import type { EvidenceKeeper, Kept } from '../attest/kept-evidence.ts';
import type { CosignatureCollector } from '../audit/witness.ts';
import { HubError } from '../common/error.ts';
import type { DeviceConnection, TakenChallenge } from '../presence/connections.ts';
import type { RootKeys } from '../attest/root-keys.ts';
import { type PublishedNow } from '../model/releases.ts';
import type { PlatformKey } from '../secrets/platform-key.ts';
import type { Database } from '../store/database.ts';
import type { DeviceRow, DeviceState } from '../store/tables/registry.ts';
import { type SentLeaseCounter } from './lease-terms.ts';
import { type AccessGate, type GateDecision } from './gate.ts';
import { type LeaseAlarm, type ReleaseBudgetSettings } from './release-budget.ts';
import { type LeaseHolderAlerts } from './lease-holder.ts';

export interface ReleaseSettings extends ReleaseBudgetSettings {
  readonly lease: ReleaseBudgetSettings['lease'] & { readonly enforcedBy: 'tpm' | 'agent' };
  readonly alerts: LeaseHolderAlerts;
}

export interface ReleaseDependencies {
  readonly database: Database;
  readonly appraiser: Appraiser;
  readonly rootKeys: RootKeys;
  readonly gate: AccessGate;
  readonly platformKey: PlatformKey;
  readonly leaseAlarm: LeaseAlarm;
  readonly evidenceKeeper: EvidenceKeeper;
  readonly witnesses: Pick<CosignatureCollector, 'cosignersBesides'>;
  readonly witnessPolicies: Pick<WitnessPolicies, 'current' | 'isCurrent' | 'isReachable' | 'reload'>;
  readonly settings: ReleaseSettings;
}

export interface ReleaseAsk extends TakenChallenge {
  readonly deviceId: string;
  /** SHA-256 of the operational certificate the device connected with, hex. */
  readonly certificateSha256: string;
  readonly model: string;
  readonly version: string;
  /** The types of wrapped keys that the agent reads; left out by an agent of the version before. */
  readonly wraps?: readonly string[] | undefined;
  readonly evidence: Evidence;
  readonly leaseCounter?: SentLeaseCounter | undefined;
  /** The connection on which the device asks. */
  readonly connection: DeviceConnection;
  /** How long the proof took beyond the network round trip, milliseconds. */
  readonly proofMs?: number | undefined;
  /** 1 for an agent of the version before: its entry names no evidence, and none is kept. */
  readonly receiptVersion: 1 | 2;
  /** False for an agent of the previous version: its receipt then covers an entry that it can read. */
  readonly readsSaltedEntries: boolean;
  readonly nowMs: number;
}

/** What the evidence of an ask is over: from an agent that names the wraps it reads, also everything that it asks for. */
export function qualifyingDataOf({
  model,
  version,
  wraps,
  nonce,
  connection: { exporter },
}: Omit<ReleaseAsk, 'evidence'>): Uint8Array {
  if (wraps === undefined) return qualifyingData('release', nonce, exporter);
  return qualifyingData('bound-release', nonce, boundToAsk(exporter, { model, version, wraps }));
}

/** `type` of the wrapped key; undefined: the form before. */
export type WrapForm =
  | { readonly type: typeof hybridWrapType; readonly hybridKey: Uint8Array }
  | { readonly type: typeof boundWrapType | undefined };

export interface Facts {
  /** In which form the key is wrapped. */
  readonly form: WrapForm;
  readonly device: DeviceRow;
  readonly appraisal: Appraisal;
  readonly attestationResult: string;
  readonly lease: Lease;
  readonly policy: GateDecision['policy'];
  /** Of a release with a receipt of version 2. */
  readonly kept?: Kept | undefined;
  /** The publisher's release policy; undefined where there is none. */
  readonly publisherPolicy: ReleasePolicy | undefined;
  /** The facts of the device and the model before the policy was asked. */
  readonly decidedBy: string;
}

export function factsAsked({ gate }: ReleaseDependencies, { deviceId, model, connection, nowMs }: ReleaseAsk) {
  return { action: 'releaseKey', deviceId, model, country: gate.countryOf(connection.remoteAddress), nowMs } as const;
}

/** 3. A device that an operator cut off or retired gets no key. */
export function assertMayAsk(state: DeviceState): void {
  if (state === 'quarantined' || state === 'wiped') {
    throw new HubError('device-quarantined', `this device is ${state}: an operator must release it first`);
  }
  if (state === 'retired') throw new HubError('device-retired', 'this device is retired');
}

/** 4. Only the newest published version gets keys, so that nobody can request an old release with a known weakness. */
export function assertCurrent<Release extends PublishedNow>(ask: ReleaseAsk, current: Release): Release {
  if (current.version !== ask.version) {
    const message = `${ask.model} ${ask.version} is not the current release: ${current.version} is`;
    throw new HubError('release-refused', message, { reasons: [{ code: 'release-superseded', message }] });
  }
  return current;
}
