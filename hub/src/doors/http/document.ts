// Public documents: bytes that are the same for everybody who asks, made and compressed before. A client that has them already gets 304
// (RFC 9110, 13.1.2); to others they are sent piece by piece, so that a client that reads slowly costs one piece of memory.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import type { Document } from '../../store/document.ts';
import { chargeBytes } from './work.ts';

const PIECE_BYTES = 64 * 1024;

/** Answers with the document in the encoding that the client takes. */
export function sendDocument(
  request: FastifyRequest,
  reply: FastifyReply,
  { type, document }: { readonly type: string; readonly document: Document },
): FastifyReply {
  const { encoding, bytes, etag } = chosen(document, request.headers['accept-encoding']);
  void reply.header('etag', etag).header('cache-control', 'no-cache').header('vary', 'accept-encoding');
  if (isNamed(etag, request.headers['if-none-match'])) return reply.status(304).send();
  if (encoding !== undefined) void reply.header('content-encoding', encoding);
  void reply.type(type).header('content-length', bytes.length);
  if (bytes.length <= PIECE_BYTES) return reply.send(bytes);
  chargeBytes(request, bytes.length);
  return reply.send(Readable.from(piecesOf(bytes), { objectMode: false, highWaterMark: PIECE_BYTES }));
}

function chosen({ bytes, gzip, sha256 }: Document, accepted: string | undefined) {
  // Different bytes have different names.
  if (takesGzip(accepted)) return { encoding: 'gzip', bytes: gzip, etag: `"${sha256}-gzip"` };
  return { encoding: undefined, bytes, etag: `"${sha256}"` };
}

/** RFC 9110, 12.5.3: a coding counts unless its weight is 0, and `*` counts for those that are not named. */
function takesGzip(accepted = ''): boolean {
  const weights = new Map(
    accepted.split(',').map((each): [string, number] => {
      const [coding = '', ...parameters] = each.split(';').map((part) => part.trim().toLowerCase());
      const weight = parameters.find((parameter) => parameter.startsWith('q='))?.slice('q='.length);
      return [coding === 'x-gzip' ? 'gzip' : coding, weight === undefined ? 1 : Number(weight)];
    }),
  );
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0;
}

/** The weak comparison of RFC 9110, 8.8.3.2, with each of a list. */
function isNamed(etag: string, listed: string | undefined): boolean {
  if (listed === undefined) return false;
  return listed.split(',').some((each) => ['*', etag].includes(each.trim().replace(/^W\//, '')));
}

/** In each turn of the event loop one piece goes out for all clients together: devices and operators never wait for many of them. */
async function* piecesOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
    await nextTurn();
    yield bytes.subarray(at, at + PIECE_BYTES);
  }
}

let lastTurn: Promise<void> = Promise.resolve();

function nextTurn(): Promise<void> {
  lastTurn = lastTurn.then(() => new Promise((resolve) => setImmediate(resolve)));
  return lastTurn;
}
