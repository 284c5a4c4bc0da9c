// Device API: enrolment, binding of a connection, renewal (spec/api.md).
import { NONCE_LENGTH, qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { parseVerifierKey } from '@edgekeep/core/audit/note';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import * as api from '@edgekeep/wire/device-api';
import type { WitnessBoard } from '../audit/witness.ts';
import type { AccessGate } from '../access/gate.ts';
import { isAuthentic, recordAppraisal } from '../attest/appraiser.ts';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../clock.ts';
import { HubError } from '../error.ts';
import type { DeviceDoor } from '../http/device.ts';
import type { HttpServer } from '../http/server.ts';
import { assertNotCutOff } from '../registry/enablement.ts';
import { certifyNextKey } from './certify.ts';
import { openChallenge, takeChallenge } from './connections.ts';
import { completeEnrolment, type EnrolmentParts, startEnrolment } from './enrolment.ts';
import { getDevice } from '../registry/states.ts';
import { assertCertificateStands } from './revocation-store.ts';

// A bind is fresh by the connection's exporter, which no other connection has; it needs no nonce of ours.
const zeroNonce = new Uint8Array(NONCE_LENGTH);

export function identityDeviceRoutes(
  app: HttpServer,
  parts: EnrolmentParts & { clock: Clock; door: DeviceDoor; witnesses: WitnessBoard; gate: AccessGate },
): void {
  const { database, authorities, settings, appraiser, clock, door, witnesses, gate } = parts;

  app.post(
    '/v1/enrol/challenge',
    { schema: { body: api.enrolChallengeRequest, response: { 200: api.enrolChallengeResponse } } },
    async (request) => {
      const connection = door.anyone(request);
      const nowMs = clock();
      const { pending, credential } = await startEnrolment(parts, {
        ...request.body,
        address: connection.remoteAddress,
        nowMs,
      });
      connection.enrolment = pending;
      const nonce = openChallenge(connection, nowMs, settings.challengeSeconds);
      return { nonce: toBase64url(nonce), pcrs: settings.pcrs, ...(credential === undefined ? {} : { credential }) };
    },
  );

  app.post(
    '/v1/enrol/complete',
    { schema: { body: api.enrolCompleteRequest, response: { 200: api.certificateResponse } } },
    async (request) => {
      const connection = door.anyone(request);
      const { body } = request;
      const nowMs = clock();
      const pending = connection.enrolment;
      connection.enrolment = undefined;
      if (pending === undefined)
        throw new HubError('challenge-missing', 'begin with POST /v1/enrol/challenge on this connection');
      const certificate = await completeEnrolment(parts, pending, {
        credentialSecret:
          body.credentialSecret === undefined ? undefined : parseBase64url(body.credentialSecret, 'credentialSecret'),
        certificateRequest: parseBase64url(body.certificateRequest, 'certificateRequest'),
        evidence: body.evidence,
        witnessKey: body.witnessKey,
        idevidProof: body.idevidProof,
        nonce: takeChallenge(connection, nowMs),
        nowMs,
      });
      return { deviceId: pending.deviceId, certificateChain: authorities.chainPem(certificate) };
    },
  );

  app.post('/v1/bind', { schema: { body: api.bindRequest, response: { 200: api.bindResponse } } }, async (request) => {
    const { connection, deviceId, certificateSha256 } = door.withCertificate(request);
    const device = await getDevice(database.read, deviceId);
    assertNotCutOff(device);
    await assertCertificateStands(database.read, certificateSha256);
    const nowMs = clock();
    const expected = {
      qualifyingData: qualifyingData('bind', zeroNonce, connection.exporter),
      nonce: zeroNonce,
      nowMs,
    };
    const { appraisal, attestationResult } = await appraiser.appraise(device, request.body.evidence, expected);
    if (!isAuthentic(appraisal)) {
      // Whoever holds the operational key does not hold the root of trust: the key was copied.
      await recordClone(deviceId, connection.remoteAddress, appraisal.reasons[0]?.message ?? 'no reason', nowMs);
      throw new HubError('bind-refused', 'this connection does not end at the registered root of trust', {
        reasons: appraisal.reasons,
        attestationResult,
      });
    }
    const { state } = await database.write((trx) => recordAppraisal(trx, deviceId, appraisal, nowMs));
    const standing = { ...device, state };
    await gate.admit({ action: 'connect', deviceId, device: standing, connection, appraisal, nowMs });
    // Nothing may come between the decision and this line: a policy applied later looks at every bound connection.
    connection.bound = true;
    witnesses.register(deviceId, parseVerifierKey(device.witness_key));
    return { deviceId, state };
  });

  app.post('/v1/challenges', { schema: { response: { 200: api.challengeResponse } } }, async (request) => {
    const { connection } = door.bound(request);
    const nonce = openChallenge(connection, clock(), settings.challengeSeconds);
    return { nonce: toBase64url(nonce), pcrs: settings.pcrs, expiresInSeconds: settings.challengeSeconds };
  });

  app.post(
    '/v1/renew',
    { schema: { body: api.renewRequest, response: { 200: api.certificateResponse } } },
    async (request) => {
      const { connection, deviceId } = door.bound(request);
      const nowMs = clock();
      const proof = {
        certificateRequest: parseBase64url(request.body.certificateRequest, 'certificateRequest'),
        evidence: request.body.evidence,
        nonce: takeChallenge(connection, nowMs),
        nowMs,
      };
      const device = await getDevice(database.read, deviceId);
      const certificate = await certifyNextKey(parts, device, proof, 'certificate-renewed');
      return { deviceId, certificateChain: authorities.chainPem(certificate) };
    },
  );

  async function recordClone(deviceId: string, address: string, reason: string, nowMs: number): Promise<void> {
    await database.write((trx) =>
      appendEntry(trx, {
        at: nowMs,
        kind: 'bind-refused',
        actor: `address:${address}`,
        subject: `device:${deviceId}`,
        data: { reason: reason.slice(0, 300) },
      }),
    );
  }
}
