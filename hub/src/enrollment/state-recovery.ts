// A device lost files of its state folder (spec/agent.md, "A lost file"; the letters are those of the page). Its root of trust signs for what it
// lost; the hub answers what it remembers of this device, and every loss is an entry and an alert: who empties the file may want an older model,
// or another history of the log.
import { type LostFile, stateRecoveryQualifyingData } from '@edgekeep/core/attest/state-recovery-subject';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { parseUtf8, utf8 } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { CoreError } from '@edgekeep/core/error';
import { compareVersions } from '@edgekeep/core/model/version-order';
import { identityKeys } from '@edgekeep/wire/api/device';
import type { Kysely } from 'kysely';
import { raiseAlert } from '../alert/alerts.ts';
import { type Appraiser, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import { identityOf } from '../attest/root-keys.ts';
import { appendEntry } from '../audit/append.ts';
import { HubError } from '../common/error.ts';
import { isContraindicated } from '../registry/contraindicated.ts';
import { endWitnessKey } from '../registry/end-witness-key.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { getDevice } from '../registry/states.ts';
import { findWitnessed } from '../registry/witnessed.ts';
import type { Witnessed } from '../audit/unwritten.ts';
import { announceDisconnects, witnessOnly } from '../revocation/store.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import { appraiseOwn, hubNamesOf, type OwnEvidence, overHubs, sameEnrollment } from './own-evidence.ts';

export interface StateRecoveryDependencies {
  readonly database: Database;
  readonly appraiser: Appraiser;
  readonly settings: { readonly logOrigin: string };
}

export interface StateRecoveryProof extends OwnEvidence {
  readonly lost: readonly LostFile[];
  readonly witnessKey: string;
  readonly exporter: Uint8Array;
  /** What the device cosigned since its last report. */
  readonly unwritten: Witnessed | undefined;
}

export interface Remembered {
  readonly checkpoint: string | null;
  readonly versions: Readonly<Record<string, string>>;
  /** The device cosigns by another key from now on. */
  readonly keyReplaced: boolean;
}

/** What the hub remembers. Throws `renewal-refused` with the reason of the rule that does not hold. */
export async function recoverState(
  dependencies: StateRecoveryDependencies,
  deviceId: string,
  proof: StateRecoveryProof,
): Promise<Remembered> {
  assertKey(proof.witnessKey);
  return untilReferencesStay(() => recoverOnce(dependencies, deviceId, proof));
}

async function recoverOnce(
  { database, appraiser, settings }: StateRecoveryDependencies,
  deviceId: string,
  proof: StateRecoveryProof,
): Promise<Remembered> {
  const { nowMs } = proof;
  // a. The registered root of trust vouches for all of it, at this hub and on this connection.
  const device = await getDevice(database.read, deviceId);
  const hubs = await hubNamesOf(database.read, settings.logOrigin);
  const proven = { qualifyingData: qualifiedBy(hubs, device, proof), what: 'what was lost' };
  const { appraisal, attestationResult } = await appraiseOwn({ database, appraiser }, device, proof, proven);
  const remembered = await database.write(async (trx) => {
    assertNotCutOff(await recordAppraisal(trx, deviceId, appraisal, nowMs));
    const now = await sameEnrollment(trx, device);
    // b. The boot is one that gets keys; the appraisal stays recorded.
    return isContraindicated(now) ? undefined : settle(trx, now, proof);
  });
  if (remembered !== undefined) return remembered;
  const message = `the boot of ${deviceId} is refused: its state is restored when it has attested an accepted one`;
  throw new HubError('renewal-refused', message, { reasons: [{ code: 'boot-refused', message }], attestationResult });
}

/** c. and d. In the transaction of the appraisal. */
async function settle(trx: WriteTransaction, device: DeviceRecord, proof: StateRecoveryProof): Promise<Remembered> {
  const { lost, witnessKey, nowMs, unwritten } = proof;
  const witnessed = unwritten ?? (await findWitnessed(trx, device.id));
  const versions = await releasedVersions(trx, device.id);
  const keyReplaced = device.witness_key !== witnessKey;
  const remembered = {
    checkpoint: witnessed === undefined ? null : parseUtf8(witnessed.note, 'checkpoint'),
    versions,
    keyReplaced,
  };
  // A device that never had them has lost nothing.
  const isLoss =
    keyReplaced ||
    lost.some(({ how }) => how === 'damaged') ||
    lost.some(({ file }) => file === 'checkpoint' && witnessed !== undefined) ||
    lost.some(({ file }) => file === 'versions' && Object.keys(versions).length > 0);
  if (!isLoss) return remembered;
  if (keyReplaced) {
    await endWitnessKey(trx, device, witnessKey, nowMs);
    // Every node asks the store for the key at the next cosignature.
    await announceDisconnects(trx, [{ deviceId: device.id, serial: witnessOnly }]);
  }
  await record(trx, device, proof, witnessed?.size ?? null, keyReplaced);
  return remembered;
}

async function record(
  trx: WriteTransaction,
  device: DeviceRecord,
  { lost, witnessKey, nowMs }: StateRecoveryProof,
  logSize: number | null,
  keyReplaced: boolean,
): Promise<void> {
  const { id, witness_key: before } = device;
  const files = lost.map(({ file, how }) => `${file}: ${how}`);
  const actor = `device:${id}`;
  const replaced = keyReplaced ? { witnessKey: digestOf(witnessKey), replaces: digestOf(before) } : {};
  const data = { lost: files, ...(logSize === null ? {} : { logSize }), ...replaced };
  await appendEntry(trx, { at: nowMs, kind: 'device-state-lost', actor, subject: `device:${id}`, data });
  await raiseAlert(trx, {
    kind: 'device-state-lost',
    severity: 'high',
    subject: { deviceId: id },
    title: `${id} lost what it remembered (${lost.map(({ file }) => file).join(', ')}) and went on from what this hub knows`,
    data: { lost: files, ...replaced },
    actor,
    nowMs,
  });
}

function digestOf(witnessKey: string): string {
  return sha256Hex(utf8(witnessKey));
}

function qualifiedBy(
  hubs: readonly [string, ...string[]],
  device: DeviceRecord,
  { lost, witnessKey, evidence, nonce, exporter }: StateRecoveryProof,
): Uint8Array {
  const keys = identityKeys(identityOf(device));
  return overHubs(hubs, evidence, (hub) =>
    stateRecoveryQualifyingData(nonce, { hub, deviceId: device.id, keys, lost, witnessKey, exporter }),
  );
}

function assertKey(text: string): void {
  try {
    if (parseVerifierKey(text).type === 'cosignature-v1') return;
  } catch (error) {
    if (!(error instanceof CoreError)) throw error;
  }
  throw new HubError('request-invalid', 'witnessKey is not the verifier key of a cosigner');
}

/** The highest version of each model whose key this device got: none is deleted. */
async function releasedVersions(db: Kysely<Tables>, deviceId: string): Promise<Readonly<Record<string, string>>> {
  const rows = await db
    .selectFrom('lease')
    .select(['model', 'version'])
    .where('device_id', '=', deviceId)
    .groupBy(['model', 'version'])
    .execute();
  const highest = new Map<string, string>();
  for (const { model, version } of rows) {
    const known = highest.get(model);
    if (known === undefined || compareVersions(version, known) > 0) highest.set(model, version);
  }
  return Object.fromEntries(highest);
}
