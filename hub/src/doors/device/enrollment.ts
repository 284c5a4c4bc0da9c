// Device API: enrollment, binding of a connection, renewal (spec/api.md).
import { IMA_PCR } from '@edgekeep/core/attest/reference-values';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import { sha256Hex } from '@edgekeep/core/digest';
import { bindRequest, bindResponse, challengeResponse, imaLogRequest, imaLogResponse } from '@edgekeep/wire/api/attest';
import {
  certificateResponse,
  enrollChallengeRequest,
  enrollChallengeResponse,
  enrollCompleteRequest,
  renewRequest,
} from '@edgekeep/wire/api/enrollment';
import { knownImaLog, takeImaPiece } from '../../attest/ima-logs.ts';
import { bodyBytes } from '../http/body-limits.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import type { HubSettings } from '../../settings.ts';
import type { HttpServer } from '../http/server.ts';
import { type BindDependencies, bindConnection } from '../../access/bind.ts';
import { certifyNextKey } from '../../enrollment/certify.ts';
import { type DeviceConnection, openChallenge, takeChallenge } from '../../presence/connections.ts';
import { completeEnrollment } from '../../enrollment/complete.ts';
import type { EnrollmentDependencies, PendingEnrollment } from '../../enrollment/pending.ts';
import { type EnrollmentRequest, startEnrollment } from '../../enrollment/start.ts';
import { isUnknownMaker, type UnknownMakers } from '../../enrollment/unknown-makers.ts';
import { findHybridKey } from '../../registry/hybrid-keys.ts';
import { getDevice } from '../../registry/states.ts';

type IdentityDeviceRouteDependencies = EnrollmentDependencies &
  BindDependencies & { unknownMakers: Pick<UnknownMakers, 'note'> | undefined } & {
    settings: Pick<HubSettings, 'challengeSeconds' | 'pcrs'>;
    clock: Clock;
    door: DeviceDoor;
  };

export function identityDeviceRoutes(app: HttpServer, dependencies: IdentityDeviceRouteDependencies): void {
  addEnrollment(app, dependencies);
  addBinding(app, dependencies);
  addRenewal(app, dependencies);
}

function addEnrollment(app: HttpServer, dependencies: IdentityDeviceRouteDependencies): void {
  const { authorities, settings, unknownMakers, clock, door } = dependencies;
  // Between the two steps, by connection.
  const begun = new WeakMap<DeviceConnection, PendingEnrollment>();

  app.post(
    '/v1/enroll/challenge',
    {
      ...door.lets('anyone'),
      bodyLimit: bodyBytes.identity,
      schema: { body: enrollChallengeRequest, response: { 200: enrollChallengeResponse } },
    },
    async (request) => {
      const connection = door.anyone(request);
      connection.claimed = request.body.deviceId;
      const nowMs = clock();
      const asked = { ...request.body, address: connection.remoteAddress, nowMs };
      const { pending, credential, agreement } = await startEnrollment(dependencies, asked).catch((error: unknown) => {
        if (isUnknownMaker(error)) unknownMakers?.note({ ...asked, certificate: makersCertificate(asked) });
        throw error;
      });
      begun.set(connection, pending);
      const nonce = openChallenge(connection, nowMs, settings.challengeSeconds);
      return { nonce: toBase64url(nonce), pcrs: settings.pcrs, credential, agreement };
    },
  );

  app.post(
    '/v1/enroll/complete',
    {
      ...door.lets('challenged'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: enrollCompleteRequest, response: { 200: certificateResponse } },
    },
    async (request) => {
      const connection = door.anyone(request);
      const { body } = request;
      const nowMs = clock();
      const pending = begun.get(connection);
      begun.delete(connection);
      if (pending === undefined)
        throw new HubError('challenge-missing', 'begin with POST /v1/enroll/challenge on this connection');
      const certificate = await completeEnrollment(dependencies, pending, {
        agreementSecret:
          body.agreementSecret === undefined ? undefined : parseBase64url(body.agreementSecret, 'agreementSecret'),
        credentialSecret:
          body.credentialSecret === undefined ? undefined : parseBase64url(body.credentialSecret, 'credentialSecret'),
        certificateRequest: parseBase64url(body.certificateRequest, 'certificateRequest'),
        evidence: body.evidence,
        witnessKey: body.witnessKey,
        idevidProof: body.idevidProof,
        ...takeChallenge(connection, nowMs),
        exporter: connection.exporter,
        nowMs,
        pieces: connection,
      });
      return { deviceId: pending.deviceId, certificateChain: authorities.chainPem(certificate) };
    },
  );
}

/** What a maker issued to the device, of all that it sent. */
function makersCertificate({ identity, idevid }: Pick<EnrollmentRequest, 'identity' | 'idevid'>): string | undefined {
  if (identity.kind === 'tpm') return identity.endorsementCertificates[0];
  if (identity.kind === 'dice') return identity.deviceIdCertificates[0];
  return idevid?.chain[0];
}

function addBinding(app: HttpServer, dependencies: IdentityDeviceRouteDependencies): void {
  const { database, settings, clock, door } = dependencies;
  // How far the log was appraised, for evidence that goes on from there.
  const imaLogOf = async (deviceId: string, connection: DeviceConnection) =>
    settings.pcrs.includes(IMA_PCR)
      ? knownImaLog(database.read, deviceId, connection, await dependencies.appraiser.imaPolicies.now())
      : undefined;

  app.post(
    '/v1/bind',
    {
      ...door.lets('withCertificate'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: bindRequest, response: { 200: bindResponse } },
    },
    async (request) => {
      const device = door.withCertificate(request);
      const answer = await bindConnection(dependencies, device, request.body.evidence, clock());
      const known = await findHybridKey(database.read, device.deviceId);
      const hybridKey = known === undefined ? '' : sha256Hex(known);
      return { ...answer, hybridKey, imaLog: await imaLogOf(device.deviceId, device.connection) };
    },
  );

  app.post(
    '/v1/ima-log',
    {
      ...door.lets('proving'),
      bodyLimit: bodyBytes.imaPiece,
      schema: { body: imaLogRequest, response: { 200: imaLogResponse } },
    },
    async (request) => {
      const connection = door.proving(request);
      const piece = { from: request.body.from, log: parseBase64url(request.body.log, 'log') };
      const policies = await dependencies.appraiser.imaPolicies.now();
      const deviceId = connection.certificate?.deviceId;
      return { entries: await takeImaPiece(database.read, connection, deviceId, piece, policies) };
    },
  );

  app.post(
    '/v1/challenges',
    { ...door.lets('bound'), bodyLimit: bodyBytes.none, schema: { response: { 200: challengeResponse } } },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const imaLog = await imaLogOf(deviceId, connection);
      const nonce = openChallenge(connection, clock(), settings.challengeSeconds);
      const challenge = { nonce: toBase64url(nonce), pcrs: settings.pcrs, expiresInSeconds: settings.challengeSeconds };
      return { ...challenge, ...(imaLog === undefined ? {} : { imaLog }) };
    },
  );
}

function addRenewal(app: HttpServer, dependencies: IdentityDeviceRouteDependencies): void {
  const { database, authorities, clock, door } = dependencies;

  app.post(
    '/v1/renew',
    {
      ...door.lets('bound'),
      bodyLimit: bodyBytes.evidence,
      schema: { body: renewRequest, response: { 200: certificateResponse } },
    },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const nowMs = clock();
      const proof = {
        version: request.body.version,
        exporter: connection.exporter,
        certificateRequest: parseBase64url(request.body.certificateRequest, 'certificateRequest'),
        evidence: request.body.evidence,
        ...takeChallenge(connection, nowMs),
        renewedFrom: connection.certificate?.serial,
        pieces: connection,
        nowMs,
      };
      const device = await getDevice(database.read, deviceId);
      const certificate = await certifyNextKey(dependencies, device, proof, 'certificate-renewed');
      return { deviceId, certificateChain: authorities.chainPem(certificate) };
    },
  );
}
