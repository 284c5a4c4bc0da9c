// Device listener, and the one for gateways with TLS 1.2: EST under its well-known address (RFC 7030 section 3.2.2, spec/est.md).
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TLSSocket } from 'node:tls';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { encodeCsrAttributes } from '@edgekeep/core/identity/cms-attributes';
import { encodeCertificates } from '@edgekeep/core/identity/cms-certificates';
import { algorithmOid, keyOid } from '@edgekeep/core/identity/oid';
import { CERTIFICATE_REQUEST_LENGTH_MAX } from '@edgekeep/core/identity/request';
import { recordKnownRoot } from '../../authority/known-roots.ts';
import type { Clock } from '../../common/clock.ts';
import { HubError } from '../../common/error.ts';
import type { DeviceDoor } from './door.ts';
import { bytesAs } from '../openapi/answers.ts';
import { readBodiesAsBytes } from '../http/body.ts';
import type { HttpServer } from '../http/server.ts';
import { encodeEstBody, parseBasic, parseEstBody } from './est-body.ts';
import { enrollWithToken, type EstDependencies, reenroll, type TlsVersion } from '../../enrollment/est.ts';

const at = '/.well-known/est';
// Text from an unknown client, which goes to logs.
const CLAIM_CHARACTERS_MAX = 63;
const requestType = 'application/pkcs10';
const certificates = { 200: bytesAs('application/pkcs7-mime') };
const attributes = { response: { 200: bytesAs('application/csrattrs') } };
const schema = { takes: requestType, response: certificates };
const enrolling = { ...schema, proofs: ['enrollmentToken', 'deviceCertificate'] };
// Base64 adds a third, line ends a little.
const bodyLimit = Math.ceil(CERTIFICATE_REQUEST_LENGTH_MAX * 1.4);

// RFC 7030 section 4.5.2: a recommendation. Any key that `parseSpki` accepts is certified.
const wishes = encodeCsrAttributes([{ oid: keyOid.ecPublicKey, values: [keyOid.p256] }, algorithmOid.ecdsaSha256]);

export function estRoutes(
  app: HttpServer,
  dependencies: EstDependencies & { readonly clock: Clock; readonly door: DeviceDoor },
): void {
  const { authorities, clock, door } = dependencies;

  app.get(`${at}/cacerts`, { ...door.lets('anyone'), schema: { response: certificates } }, async (request, reply) => {
    const { certificate } = door.anyone(request);
    if (certificate !== undefined) await noteKnown(certificate.deviceId);
    return send(reply, 'application/pkcs7-mime', encodeCertificates(authorities.published));
  });

  app.get(`${at}/csrattrs`, { ...door.lets('anyone'), schema: attributes }, async (_request, reply) =>
    send(reply, 'application/csrattrs', wishes),
  );

  readBodiesAsBytes(app, requestType);

  app.post(`${at}/simpleenroll`, { ...door.lets('anyone'), bodyLimit, schema: enrolling }, async (request, reply) => {
    const connection = door.anyone(request);
    const basic = parseBasic(request.headers.authorization);
    connection.claimed = basic?.user.slice(0, CLAIM_CHARACTERS_MAX);
    if (basic === undefined) {
      // RFC 7030 section 3.3.2: a client may authenticate with the certificate it has.
      if (connection.certificate === undefined) throw unauthenticated(reply);
      return sendCertificate(reply, await renew(request));
    }
    const enrollment = { ...arrival(request, connection), user: basic.user, token: basic.password };
    try {
      return await sendCertificate(reply, await enrollWithToken(dependencies, enrollment));
    } catch (error) {
      if (error instanceof HubError && error.status === 401) askForToken(reply);
      throw error;
    }
  });

  app.post(`${at}/simplereenroll`, { ...door.lets('withCertificate'), bodyLimit, schema }, async (request, reply) =>
    sendCertificate(reply, await renew(request)),
  );

  // A known device that fetches the roots has them from then on (spec/authorities.md, "Roll-over of the root").
  async function noteKnown(deviceId: string): Promise<void> {
    const version = authorities.state.roots.at(-1)?.version ?? 1;
    if (version > 1) await recordKnownRoot(dependencies.database, { deviceId, version, nowMs: clock() });
  }

  async function renew(request: FastifyRequest): Promise<Certificate> {
    const { connection } = door.withCertificate(request);
    if (connection.certificate === undefined)
      throw new TypeError('the door let a connection without a certificate pass');
    return reenroll(dependencies, connection.certificate, arrival(request, connection));
  }

  function arrival(request: FastifyRequest, { remoteAddress: address }: { readonly remoteAddress: string }) {
    return { request: bodyOf(request), address, tls: tlsOf(request), nowMs: clock() };
  }
}

function bodyOf({ body }: FastifyRequest): Uint8Array {
  if (body instanceof Uint8Array) return parseEstBody(body);
  throw new HubError('media-type-unsupported', `send a certificate request as ${requestType}`);
}

function tlsOf({ raw: { socket } }: FastifyRequest): TlsVersion {
  return socket instanceof TLSSocket && socket.getProtocol() === 'TLSv1.3' ? '1.3' : '1.2';
}

function unauthenticated(reply: FastifyReply): HubError {
  askForToken(reply);
  return new HubError('token-required', 'send HTTP Basic: the device id and an enrollment token');
}

function askForToken(reply: FastifyReply): void {
  void reply.header('www-authenticate', 'Basic realm="edgekeep-est", charset="UTF-8"');
}

// RFC 7030 section 4.2.3: the new certificate alone; the authorities come from cacerts.
async function sendCertificate(reply: FastifyReply, certificate: Certificate) {
  return send(reply, 'application/pkcs7-mime; smime-type=certs-only', encodeCertificates([certificate]));
}

async function send(reply: FastifyReply, type: string, der: Uint8Array) {
  // RFC 8951 made the second header obsolete; clients of RFC 7030 look for it.
  void reply.header('content-type', type).header('content-transfer-encoding', 'base64');
  return reply.send(encodeEstBody(der));
}
