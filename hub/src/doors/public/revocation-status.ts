// Both listeners: the revocation list and the OCSP responder, for anybody (spec/revocation.md). The responses are signed.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { parseBase64 } from '@edgekeep/core/bytes';
import { CoreError } from '@edgekeep/core/error';
import { OCSP_REQUEST_LENGTH_MAX } from '@edgekeep/core/identity/ocsp-request';
import { z } from 'zod';
import type { RevocationStatus } from '../../authority/revocation-status.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import { bytesAs, noBody } from '../openapi/answers.ts';
import { readBodiesAsBytes } from '../http/body.ts';
import type { HttpServer } from '../http/server.ts';
import type { IssuedList } from '../../authority/crl.ts';
import type { OcspAnswered } from '../../authority/ocsp.ts';

const requestType = 'application/ocsp-request';
const listed = { 200: bytesAs('application/pkix-crl'), 304: noBody };
const answered = { 200: bytesAs('application/ocsp-response') };
// RFC 6960 appendix A.1 requires GET for requests under 255 octets; this leaves room for percent-encoding and a long serial number.
const PATH_CHARACTERS_MAX = 1_024;
// The time that a proxy may cache a response, even if it is valid for longer: a revocation must not wait for caches.
const CACHE_SECONDS_MAX = 60;

const byIssuer = z.strictObject({ id: z.string().regex(/^[0-9a-f]{40}$/, 'expected 40 hex digits in lower case') });
const byRoot = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case') });

export function revocationStatusRoutes(
  app: HttpServer,
  dependencies: {
    readonly status: RevocationStatus;
    readonly clock: Clock;
  },
): void {
  const { status, clock } = dependencies;

  app.get('/crl', { schema: { response: listed } }, async (request, reply) => {
    return sendList(request, reply, await status.list());
  });

  app.get('/crl/:id', { schema: { params: byIssuer, response: listed } }, async (request, reply) => {
    return sendList(request, reply, await status.list(request.params.id));
  });

  app.get('/crl/root/:sha256', { schema: { params: byRoot, response: listed } }, async (request, reply) => {
    return sendList(request, reply, status.rootList(request.params.sha256));
  });

  async function sendList(request: FastifyRequest, reply: FastifyReply, list: IssuedList) {
    const { der, number, thisUpdateSeconds, nextUpdateSeconds } = list;
    void reply
      .type('application/pkix-crl')
      .header('cache-control', 'no-cache')
      .header('etag', `"${number}"`)
      .header('last-modified', httpDate(thisUpdateSeconds))
      .header('expires', httpDate(nextUpdateSeconds));
    if (request.headers['if-none-match'] === `"${number}"`) return reply.status(304).send();
    return reply.send(Buffer.from(der));
  }

  readBodiesAsBytes(app, requestType);
  app.post(
    '/ocsp',
    { bodyLimit: OCSP_REQUEST_LENGTH_MAX, schema: { takes: requestType, response: answered } },
    async (request, reply) => {
      if (!(request.body instanceof Uint8Array))
        throw new HubError('media-type-unsupported', `send a request as ${requestType}`);
      return send(reply, await status.answer(request.body));
    },
  );

  const path = z.strictObject({ '*': z.string().max(PATH_CHARACTERS_MAX) });
  app.get('/ocsp/*', { schema: { params: path, response: answered } }, async (request, reply) => {
    return send(reply, await status.answer(readPath(request.params['*'])));
  });

  async function send(reply: FastifyReply, { der, reusedUntilSeconds }: OcspAnswered) {
    const seconds =
      reusedUntilSeconds === undefined
        ? 0
        : Math.max(0, Math.min(CACHE_SECONDS_MAX, Math.floor(reusedUntilSeconds - clock() / 1_000)));
    void reply
      .type('application/ocsp-response')
      .header('cache-control', seconds === 0 ? 'no-store' : `public, max-age=${seconds}, must-revalidate`);
    return reply.send(Buffer.from(der));
  }
}

// A text that is not base64 is answered like any other request that cannot be read.
function readPath(text: string): Uint8Array {
  try {
    return parseBase64(text, 'OCSP request');
  } catch (error) {
    if (error instanceof CoreError) return new Uint8Array(0);
    throw error;
  }
}

function httpDate(seconds: number): string {
  return new Date(seconds * 1_000).toUTCString();
}
