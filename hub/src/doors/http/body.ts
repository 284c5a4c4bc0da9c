// How a body is read: the payer is known, the declared length is charged first, and bytes are charged again as they arrive. JSON is limited
// in depth and values on the way, and parsed only when it is complete.
import type { IncomingMessage } from 'node:http';
import { JsonBounds } from '@edgekeep/core/json-bounds';
import { NESTING_MAX } from '@edgekeep/core/nesting';
import { assertEveryMember } from '@edgekeep/core/unique-keys';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { HubError } from '../../common/error.ts';
import { bodyBytes, maxValuesFor } from './body-limits.ts';
import { workedFor } from './work.ts';

type ContentTypes = Pick<FastifyInstance, 'addContentTypeParser' | 'removeContentTypeParser' | 'getDefaultJsonParser'>;

/** Replaces fastify's parsers, which read before they count. */
export function readBodiesAsJson(app: ContentTypes): void {
  const parse = app.getDefaultJsonParser('error', 'error');
  app.removeContentTypeParser(['application/json', 'text/plain']);
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    const bounds = new JsonBounds({ depth: NESTING_MAX, values: maxValuesFor(limitOf(request)) }, 'the body');
    const body = await readBody(request, payload, (chunk) => workedFor(request, () => bounds.push(chunk)));
    const text = body.toString('utf8');
    const value = await new Promise((resolve, reject) => {
      const take = (error: Error | null, parsed?: unknown) => (error === null ? resolve(parsed) : reject(error));
      workedFor(request, () => void parse(request, text, take));
    });
    // What a second person reads, a log keeps and a handler does must be one thing.
    workedFor(request, () => assertEveryMember({ text, value, members: bounds.members }, 'the body', 'json-invalid'));
    return value;
  });
}

/** Bodies of this content type are taken whole, as bytes. */
export function readBodiesAsBytes(app: ContentTypes, contentType: string): void {
  app.addContentTypeParser(contentType, (request: FastifyRequest, payload: IncomingMessage) =>
    readBody(request, payload),
  );
}

/** The declared length of a body; 0 when it declares none. */
export function declaredLength(request: FastifyRequest): number {
  const length = Number(request.headers['content-length'] ?? 0);
  return Number.isSafeInteger(length) && length > 0 ? length : 0;
}

async function readBody(
  request: FastifyRequest,
  payload: IncomingMessage,
  see: (chunk: Buffer) => void = () => {},
): Promise<Buffer> {
  const limit = limitOf(request);
  const declared = declaredLength(request);
  if (declared > limit) throw tooLarge(limit);
  const { payer } = request;
  using account = payer.class.openBody(payer.key, declared);
  const chunks: Buffer[] = [];
  let length = 0;
  await new Promise<void>((resolve, reject) => {
    // The stream stays usable when this ends early: the rest is discarded, and the refusal can be sent.
    const take = (chunk: Buffer) => {
      try {
        length += chunk.length;
        if (length > limit) throw tooLarge(limit);
        account.grow(length);
        see(chunk);
        chunks.push(chunk);
      } catch (error) {
        end();
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const finish = () => {
      end();
      resolve();
    };
    const fail = () => {
      end();
      reject(new HubError('request-invalid', 'the body ended before it was complete'));
    };
    const end = () => payload.off('data', take).off('end', finish).off('error', fail).off('close', fail);
    payload.on('data', take).on('end', finish).on('error', fail).on('close', fail);
  });
  return Buffer.concat(chunks, length);
}

function limitOf({ routeOptions }: FastifyRequest): number {
  return routeOptions.bodyLimit ?? bodyBytes.none;
}

function tooLarge(limit: number): HubError {
  return new HubError('payload-too-large', `the body is larger than the ${limit} bytes that this route takes`);
}
