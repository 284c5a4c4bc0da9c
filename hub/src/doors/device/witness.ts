// Device API: devices as witnesses (the present state of the log, and the device's cosignature), and reports.
import { noteReport } from '../../registry/device-notes.ts';
import { parseVerifierKey, parseNote, type VerifierKey } from '@edgekeep/core/audit/note';
import { parseForkProof, verifyForkProof } from '@edgekeep/core/audit/fork-proof';
import { toBase64, utf8 } from '@edgekeep/core/bytes';
import { logPartJson } from '@edgekeep/core/audit/hand-over';
import { parseCheckpoint } from '@edgekeep/core/audit/checkpoint';
import { checkpointResponse, cosignatureRequest, cosignatureResponse, ownEntries } from '@edgekeep/wire/api/audit';
import { reportRequest, reportResponse } from '@edgekeep/wire/api/report';
import { z } from 'zod';
import type { AccessGate } from '../../access/gate.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HttpServer } from '../http/server.ts';
import { getDevice } from '../../registry/states.ts';
import { isContraindicated } from '../../registry/contraindicated.ts';
import { documentOf, recordReported } from '../../registry/attributes.ts';
import { recordModels, retriesFor } from '../../model/device-models.ts';
import { raiseAlert } from '../../alert/alerts.ts';
import { recordClockSkew } from '../../respond/device-clock.ts';
import { type EndedGuards, recordGuard } from '../../respond/device-guard.ts';
import { keepWitnessed } from '../../registry/witnessed.ts';
import type { UnwrittenCosignatures } from '../../audit/unwritten.ts';
import type { HubSettings } from '../../settings.ts';
import type { Database } from '../../store/database.ts';
import { appendEntry } from '../../audit/append.ts';
import { readOwnEntries } from '../../audit/own-entries.ts';
import type { ProvenHandOver } from '../../audit/hand-over.ts';
import type { AuditLog } from '../../audit/log.ts';
import type { CosignatureCollector } from '../../audit/witness.ts';

const fromSize = z.strictObject({
  from: z.coerce.number().int().min(0).default(0),
  /** Asked by a device that has seen a former log only. */
  handOvers: z.literal('all').optional(),
});
const ownPage = z.strictObject({
  from: z.coerce.number().int().min(0).default(0),
  limit: z.coerce.number().int().min(1).max(100).default(100),
});
const reportSchema = { body: reportRequest, response: { 200: reportResponse } };

interface AuditDeviceRouteDependencies {
  database: Database;
  log: AuditLog;
  witnesses: CosignatureCollector;
  unwritten: UnwrittenCosignatures;
  /** The former logs and this one: a proof may be about any of them. */
  logKeys: () => Promise<readonly VerifierKey[]>;
  handOvers: () => Promise<readonly ProvenHandOver[]>;
  clock: Clock;
  door: DeviceDoor;
  gate: AccessGate;
  settings: Pick<HubSettings, 'alerts'>;
  countEndedGuards: (ended: EndedGuards) => void;
}

export function auditDeviceRoutes(app: HttpServer, dependencies: AuditDeviceRouteDependencies): void {
  addLog(app, dependencies);
  addReports(app, dependencies);
}

function addLog(app: HttpServer, dependencies: AuditDeviceRouteDependencies): void {
  const { database, log, witnesses, clock, door } = dependencies;

  app.get(
    '/v1/checkpoint',
    { ...door.lets('bound'), schema: { querystring: fromSize, response: { 200: checkpointResponse } } },
    async (request) => {
      const offer = await witnesses.offer(request.query.from, Math.floor(clock() / 1_000));
      // A device that knows a longer log needs no proof: it has caught this hub with a shorter history, and gets the signed checkpoint that
      // convicts it.
      const { checkpoint, consistency } =
        offer.kind === 'offer' ? offer : { checkpoint: log.checkpoint(), consistency: [] };
      const shown = { checkpoint: Buffer.from(checkpoint).toString('utf8'), consistency: consistency.map(toBase64) };
      if (request.query.handOvers === undefined) return shown;
      return { ...shown, ...(await shownHandOvers(dependencies, request.query.from)) };
    },
  );

  app.get(
    '/v1/audit',
    { ...door.lets('bound'), schema: { querystring: ownPage, response: { 200: ownEntries } } },
    async (request) => {
      const { deviceId } = door.bound(request);
      const { from, limit } = request.query;
      return readOwnEntries(database.read, deviceId, { from, limit });
    },
  );

  app.post(
    '/v1/cosignatures',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.note,
      schema: { body: cosignatureRequest, response: { 200: cosignatureResponse } },
    },
    async (request) => {
      const { deviceId } = door.bound(request);
      await assertWitness(dependencies, deviceId);
      const verdict = witnesses.accept(deviceId, utf8(request.body.checkpoint), Math.floor(clock() / 1_000));
      if (verdict.kind === 'refused') {
        const reasons = verdict.reasons.map((message) => ({ code: `witness-${verdict.status}`, message }));
        throw new HubError(
          verdict.status === 409 ? 'witness-behind' : 'cosignature-refused',
          'the cosignature is not accepted',
          { reasons },
        );
      }
      dependencies.unwritten.note(deviceId, { size: verdict.size, note: verdict.cosigned });
      if (verdict.quorum) await witnesses.publish();
      return { accepted: true };
    },
  );
}

/** Every hand-over, and the checkpoint that the last one leads to. */
async function shownHandOvers({ log, handOvers }: AuditDeviceRouteDependencies, from: number) {
  const proven = await handOvers();
  const shown = proven.map(({ former, next, end, begin }) => ({
    former,
    next,
    end: logPartJson(end),
    begin: { ...logPartJson(begin), consistency: begin.consistency.map(toBase64) },
  }));
  const { begin: latest } = proven.at(-1) ?? {};
  const size = latest === undefined ? 0 : parseCheckpoint(parseNote(latest.checkpoint).text).size;
  if (latest === undefined || from > size) return { handOvers: shown };
  const consistency = (await log.consistency(from, size)).map(toBase64);
  return { handOvers: shown, checkpoint: Buffer.from(latest.checkpoint).toString('utf8'), consistency };
}

function addReports(app: HttpServer, dependencies: AuditDeviceRouteDependencies): void {
  const { database, log, clock, door, gate, settings } = dependencies;

  app.post(
    '/v1/reports',
    { ...door.lets('bound'), bodyLimit: bodyBytes.report, schema: reportSchema },
    async (request) => {
      const { deviceId, connection } = door.bound(request);
      const { counts, forkProof, attributes, models, clockSkewSeconds, guard, desiredVersion } = request.body;
      const nowMs = clock();
      const proven = forkProof === undefined ? undefined : await verifiedFork(dependencies, forkProof);
      // Anybody may send a proof against this log, and no policy of this hub may refuse it.
      if (counts !== undefined || attributes !== undefined || models !== undefined) {
        await gate.admit({ action: 'publishTelemetry', deviceId, connection, nowMs });
      }
      const witnessed = dependencies.unwritten.of(deviceId);
      const ended = await database.write(async (trx) => {
        if (witnessed !== undefined) await keepWitnessed(trx, deviceId, witnessed, nowMs);
        await noteReport(trx, deviceId, { counts: counts === undefined ? undefined : JSON.stringify(counts), nowMs });
        if (attributes !== undefined) await recordReported(trx, deviceId, attributes, nowMs);
        if (models !== undefined) await recordModels(trx, { deviceId, models, nowMs }, settings);
        if (clockSkewSeconds !== undefined) {
          const skew = { deviceId, skewSeconds: clockSkewSeconds, nowMs };
          await recordClockSkew(trx, skew, settings.alerts.maxClockSkewSeconds);
        }
        const endedGuards = guard === undefined ? undefined : await recordGuard(trx, { deviceId, guard, nowMs });
        if (proven !== undefined) {
          const subject = `log:${log.key.name}`;
          await appendEntry(trx, {
            at: nowMs,
            kind: 'fork-reported',
            actor: `device:${deviceId}`,
            subject,
            data: proven,
          });
          await raiseAlert(trx, {
            kind: 'log-fork',
            severity: 'critical',
            subject: { part: subject },
            title: 'a device proved that this log was forked or set back: two signed histories contradict each other',
            data: { proofs: [proven.kind], devices: [deviceId] },
            actor: `device:${deviceId}`,
            nowMs,
          });
        }
        return endedGuards;
      });
      if (witnessed !== undefined) dependencies.unwritten.written(deviceId, witnessed);
      if (ended !== undefined) dependencies.countEndedGuards(ended);
      const updates = await updatesFor(dependencies, deviceId, desiredVersion);
      if (Object.keys(updates).length === 0) return { accepted: true };
      // Read after the data: a device that became suspect meanwhile gets none of it.
      if (isContraindicated(await getDevice(database.read, deviceId))) return { accepted: true };
      // The report is accepted. Data that the device may not read is left out, and that is logged.
      if (!(await gate.permits({ action: 'receiveCommand', deviceId, connection, nowMs }))) return { accepted: true };
      return { accepted: true, ...updates };
    },
  );
}

/** A device whose boot is refused vouches for nothing; one that attested a better boot on this connection is a witness again. */
async function assertWitness(
  { database, witnesses }: Pick<AuditDeviceRouteDependencies, 'database' | 'witnesses'>,
  deviceId: string,
): Promise<void> {
  const device = await getDevice(database.read, deviceId);
  if (isContraindicated(device)) {
    witnesses.remove(deviceId);
    const message = `the boot of ${deviceId} is refused: it is a witness again when it has attested an accepted one`;
    throw new HubError('cosignature-refused', message, { reasons: [{ code: 'boot-refused', message }] });
  }
  if (witnesses.has(deviceId)) return;
  const { tier, witness_origin: origin, witness_key: key } = device;
  witnesses.register(deviceId, parseVerifierKey(key), { tier, origin });
}

/** Desired attributes that the device does not have yet. */
async function updatesFor(
  dependencies: AuditDeviceRouteDependencies,
  deviceId: string,
  desiredVersion: number | undefined,
) {
  const { database } = dependencies;
  const retry = await retriesFor(database.read, deviceId);
  const tried = retry.length === 0 ? {} : { retry: [...retry] };
  if (desiredVersion === undefined) return tried;
  const { version, attributes } = await documentOf(database.read, deviceId, 'desired');
  return version === desiredVersion ? tried : { ...tried, desired: { version, attributes } };
}

async function verifiedFork(dependencies: AuditDeviceRouteDependencies, text: string): Promise<{ kind: string }> {
  const keys = await dependencies.logKeys();
  const proof = parseForkProof(utf8(text));
  if (keys.every((key) => verifyForkProof(proof, key).kind === 'refused'))
    throw new HubError('request-invalid', 'the fork proof does not prove a fork of this log');
  return { kind: proof.kind };
}
