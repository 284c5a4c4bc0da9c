// A request for each changing route of the device listener, as the honest device sends it. The test fails for a route without one.
import { challengeResponse } from '@edgekeep/wire/api/attest';
import { xwingPublicKey } from '@edgekeep/core/post-quantum/xwing';
import { hybridKeyChallengeResponse } from '@edgekeep/wire/api/hybrid-key';
import { hybridKeyProof, newSeed } from '../../support/hybrid-device.ts';
import { parseBase64url, toBase64url } from '@edgekeep/core/bytes';
import {
  bareConnection,
  type BareConnection,
  boundConnection,
  challengeOn,
  exchange,
} from '../../support/bound-socket.ts';
import { zeroNonce } from '../../support/device-link.ts';
import type { RequestText } from '../../support/half-request.ts';
import { stateRecoveryProof } from '../../support/state-recovery.ts';
import type { HubWorld } from '../../support/hub-world.ts';
import { newOperationalKey, type TestDevice } from '../../support/test-device.ts';

export interface Prepared {
  readonly connection: BareConnection;
  readonly request: RequestText;
}

export type Prepare = (world: HubWorld, device: TestDevice) => Promise<Prepared>;

const json = { 'content-type': 'application/json' };
const post = (path: string, body: object): RequestText => ({
  method: 'POST',
  path,
  headers: json,
  body: JSON.stringify(body),
});

const simple =
  (path: string, body: object): Prepare =>
  async (world, device) => ({ connection: await boundConnection(world, device), request: post(path, body) });

const withNonce =
  (path: string, body: (device: TestDevice, nonce: Uint8Array, exporter: Uint8Array) => Promise<object>): Prepare =>
  async (world, device) => {
    const connection = await boundConnection(world, device);
    const nonce = await challengeOn(connection);
    return { connection, request: post(path, await body(device, nonce, connection.exporter)) };
  };

async function nextCertificate(device: TestDevice, nonce: Uint8Array, exporter: Uint8Array): Promise<object> {
  const { request, spki } = await newOperationalKey(device.id);
  const proof = await device.certifyProof('renew', { nonce, spki, exporter });
  return { ...proof, certificateRequest: toBase64url(request) };
}

/** By method and route, as the hub names them. */
export const deviceRequests: Readonly<Record<string, Prepare>> = {
  'POST /v1/bind': async (world, device) => {
    const connection = await bareConnection(world, device);
    const evidence = await device.evidence('bind', zeroNonce, connection.exporter);
    return { connection, request: post('/v1/bind', { evidence }) };
  },
  'POST /v1/challenges': simple('/v1/challenges', {}),
  'POST /v1/renew': withNonce('/v1/renew', nextCertificate),
  'POST /v1/hybrid-key/challenge': simple('/v1/hybrid-key/challenge', { key: toBase64url(xwingPublicKey(newSeed())) }),
  'POST /v1/hybrid-key': async (world, device) => {
    const connection = await boundConnection(world, device);
    const seed = newSeed();
    const { nonce } = await exchange(connection, '/v1/challenges', {}, challengeResponse);
    const asked = { key: toBase64url(xwingPublicKey(seed)) };
    const sealed = await exchange(connection, '/v1/hybrid-key/challenge', asked, hybridKeyChallengeResponse);
    const proof = { nonce: parseBase64url(nonce, 'nonce'), exporter: connection.exporter, sealed };
    return { connection, request: post('/v1/hybrid-key', await hybridKeyProof(device, seed, proof)) };
  },
  'POST /v1/state-recovery': withNonce('/v1/state-recovery', (device, nonce, exporter) =>
    stateRecoveryProof(device, { nonce, exporter }, { lost: [{ file: 'versions', how: 'damaged' }] }),
  ),
  'POST /v1/attest': withNonce('/v1/attest', async (device, nonce, exporter) => ({
    evidence: await device.evidence('release', nonce, exporter),
  })),
  'POST /v1/releases': withNonce('/v1/releases', async (device, nonce, exporter) => ({
    model: 'belt',
    version: '1.0.0',
    ...(await device.releaseProof(nonce, exporter)),
  })),
  'POST /v1/reports': simple('/v1/reports', { attributes: { rate: 1 } }),
  'POST /v1/cosignatures': simple('/v1/cosignatures', { checkpoint: 'none' }),
  'POST /v1/authorities/known': simple('/v1/authorities/known', { root: 'a'.repeat(64) }),
  'POST /v1/workloads/:name/certificate': async (world, device) => {
    const { request } = await newOperationalKey('scan');
    const body = { certificateRequest: toBase64url(request) };
    return { connection: await boundConnection(world, device), request: post('/v1/workloads/scan/certificate', body) };
  },
  'POST /.well-known/est/simplereenroll': async (world, device) => {
    const { request } = await newOperationalKey(device.id);
    const headers = { 'content-type': 'application/pkcs10' };
    const body = Buffer.from(request).toString('base64');
    const path = '/.well-known/est/simplereenroll';
    return { connection: await bareConnection(world, device), request: { method: 'POST', path, headers, body } };
  },
};

/**
 * Routes without an authority. Each reads the proof in the request (a token, evidence of a registered root of trust) in its own
 * transaction; `strangers.test.ts` tests what ends that proof. `/ocsp` changes nothing. A piece of an IMA log is kept on its connection
 * only, and counts for nothing without the evidence that follows.
 */
export const strangerRoutes: ReadonlySet<string> = new Set([
  'POST /v1/enroll/challenge',
  'POST /v1/enroll/complete',
  'POST /v1/ima-log',
  'POST /v1/recover/challenge',
  'POST /v1/recover/complete',
  'POST /v1/token/report',
  'POST /.well-known/est/simpleenroll',
  'POST /ocsp',
]);
