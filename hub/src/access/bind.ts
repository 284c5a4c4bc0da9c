// Binding a connection (spec/api.md, "Bind, challenge, answer"): the device's root of trust signs the connection's exporter. A copied key
// would be refused here.
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { NONCE_LENGTH, qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { randomUUID } from 'node:crypto';
import { type Appraiser, isAuthentic, isLate, recordAppraisal, untilReferencesStay } from '../attest/appraiser.ts';
import type { CosignatureCollector } from '../audit/witness.ts';
import { HubError } from '../common/error.ts';
import type { AccessGate } from './gate.ts';
import { isContraindicated } from '../registry/contraindicated.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { getDevice } from '../registry/states.ts';
import type { Database } from '../store/database.ts';
import type { DeviceRecord } from '../store/tables/registry.ts';
import type { CloneWatch } from '../respond/clone-watch.ts';
import type { BoundDevice, Connections } from '../presence/connections.ts';
import { lineageOf, recordUse } from '../presence/lineage.ts';
import type { SessionVerdict } from '../presence/sessions.ts';
import type { NewSession, Presence } from '../presence/presence.ts';
import { cannotBeCopied } from '../presence/read.ts';
import { assertCertificateStands } from '../revocation/store.ts';

export interface BindDependencies {
  readonly database: Database;
  readonly appraiser: Appraiser;
  readonly witnesses: CosignatureCollector;
  readonly connections: Connections;
  readonly presence: Presence;
  readonly gate: AccessGate;
  readonly cloneWatch: CloneWatch;
}

interface BoundAnswer {
  readonly deviceId: string;
  readonly state: string;
  /** What the hub makes of the evidence; undefined where the policy does not permit the device to attest. */
  readonly attestationResult: string | undefined;
  readonly stagePcr: number | undefined;
}

// The exporter of the connection, which no other connection has, makes a bind fresh; it needs no nonce of the hub.
const zeroNonce = new Uint8Array(NONCE_LENGTH);
const alone: SessionVerdict = { kind: 'alone' };

/** Binds the connection, or throws the reason against it. */
export async function bindConnection(
  dependencies: BindDependencies,
  device: BoundDevice,
  evidence: Evidence,
  nowMs: number,
): Promise<BoundAnswer> {
  return untilReferencesStay(() => bindOnce(dependencies, device, evidence, nowMs));
}

async function bindOnce(
  dependencies: BindDependencies,
  { connection, deviceId, certificateSha256 }: BoundDevice,
  evidence: Evidence,
  nowMs: number,
): Promise<BoundAnswer> {
  const { database, appraiser, witnesses, connections, presence, cloneWatch, gate } = dependencies;
  const device = await getDevice(database.read, deviceId);
  assertNotCutOff(device);
  await assertCertificateStands(database.read, certificateSha256);
  const bound = qualifyingData('bind', zeroNonce, connection.exporter);
  // The result names the evidence by what it is bound to: no other connection has the same.
  const expected = {
    qualifyingData: bound,
    nonce: bound,
    askedMs: connection.openedAtMs,
    nowMs,
    pieces: connection,
  };
  const { appraisal, attestationResult, stagePcr } = await appraiser.appraise(device, evidence, expected);
  if (!isAuthentic(appraisal)) {
    const { reasons } = appraisal;
    if (!isLate(appraisal)) await cloneWatch.bindRefused(connection, reasons);
    throw new HubError('bind-refused', 'the evidence does not bind this connection to the registered root of trust', {
      reasons,
      attestationResult,
    });
  }
  // A bind on a connection that has its place is a use of that place; what is known about it stays.
  connections.use(connection, nowMs);
  const serial = connection.certificate?.serial ?? '';
  const id = randomUUID();
  let arrival: NewSession | undefined;
  try {
    const { verdict, state } = await database.write(async (trx) => {
      const { lineage } = await lineageOf(trx, serial);
      if (connection.session === undefined) arrival = { id, connection, device, serial, lineage, nowMs };
      const weighed = arrival === undefined ? alone : await presence.arrive(trx, arrival);
      if (weighed.kind === 'taken') return { verdict: weighed, state: device.state };
      const standing = await recordAppraisal(trx, deviceId, appraisal, nowMs);
      assertNotCutOff(standing);
      const { remoteAddress: address } = connection;
      await recordUse(trx, { deviceId, serial, address, cannotBeCopied: cannotBeCopied(device.tier), nowMs });
      return { verdict: weighed, state: standing.state };
    });
    const ask = { deviceId, device: { ...device, state }, connection, appraisal, nowMs };
    if (verdict.kind !== 'taken') await gate.admit({ action: 'connect', ...ask });
    if (arrival !== undefined) presence.settle(arrival, verdict);
    if (verdict.kind === 'taken') throw taken(verdict);
    // Nothing may come between the decision and this line: a policy that is applied later checks every bound connection.
    connections.bind(connection);
    registerWitness(witnesses, device, { state, attestation: appraisal.status });
    const shown = await gate.permits({ action: 'attest', ...ask });
    return { deviceId, state, attestationResult: shown ? attestationResult : undefined, stagePcr };
  } catch (error) {
    if (arrival !== undefined && !connection.bound) presence.withdraw(arrival);
    throw error;
  }
}

// Asked again at each cosignature.
function registerWitness(
  witnesses: BindDependencies['witnesses'],
  { id, witness_key: key, tier, witness_origin: origin }: DeviceRecord,
  standing: Pick<DeviceRecord, 'state' | 'attestation'>,
): void {
  if (!isContraindicated(standing)) witnesses.register(id, parseVerifierKey(key), { tier, origin });
}

// The address of the other connection is for operators only.
function taken({ others }: Extract<SessionVerdict, { kind: 'taken' }>): HubError {
  const contested = others.some((place) => place.contested);
  return new HubError(
    'identity-in-use',
    contested
      ? 'this identity is in use elsewhere: ask the operator, who has an alert about it'
      : 'this identity is in use by another connection that was active a short time ago: try again when that one is closed or silent',
  );
}
