// The header Idempotency-Key on the operator listener (spec/idempotency-key.md): a request that is sent again is answered as before, and is not
// carried out again.
import { createHash, createSecretKey, hkdfSync, type KeyObject, randomUUID } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Counter, type Registry } from 'prom-client';
import { parseHex, utf8 } from '@edgekeep/core/bytes';
import { parseJson } from '@edgekeep/core/json';
import { z } from 'zod';
import { HubError } from '../../common/error.ts';
import type { Subject } from '../../common/subject.ts';
import { type KeyedRequest, requestKeyId, type RequestKeys } from '../../people/request-keys.ts';
import { seal, unseal } from '../../secrets/sealing.ts';
import { actingNow } from '../../store/authority.ts';
import type { Database } from '../../store/database.ts';
import { isChanging, requestKeyHeader, requestKeyPattern, takesRequestKey } from '../http/keyed-route.ts';
import type { HttpServer } from '../http/server.ts';

const replayedHeader = 'idempotency-replayed';
const KEPT_BYTES_MAX = 65_536;

const keptAnswer = z.strictObject({ status: z.int(), type: z.string().nullable(), body: z.string() });
type KeptAnswer = z.infer<typeof keptAnswer>;

interface Keyed extends KeyedRequest {
  /** Seals and opens its answer. */
  readonly sealing: KeyObject;
}

export class RequestKeyHeader implements Subject {
  readonly #database: Database;
  readonly #keys: RequestKeys;
  readonly #keyed = new WeakMap<FastifyRequest, Keyed>();
  #replayed: Counter | undefined;

  constructor(database: Database, keys: RequestKeys) {
    this.#database = database;
    this.#keys = keys;
  }

  readonly metrics = (registry: Registry): void => {
    this.#replayed = new Counter({
      name: 'edgekeep_requests_replayed_total',
      help: 'Requests with a known Idempotency-Key: answered from what was kept, or refused, and not carried out again.',
      registers: [registry],
    });
  };

  /** Runs before every handler of `app`, after the caller is known and the body has arrived. */
  guard(app: HttpServer): void {
    app.addHook('preValidation', async (request, reply) => this.#meet(request, reply));
    app.addHook('onSend', async (request, reply, payload) => this.#keep(request, reply, payload));
  }

  async #meet(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply | undefined> {
    const header = request.headers[requestKeyHeader.toLowerCase()];
    if (header === undefined || request.approved || !isChanging(request.method)) return undefined;
    if (!takesRequestKey(request.routeOptions)) throw notTaken();
    const keyed = keyedOf(request, header);
    const sealed = await this.#keys.answerOf(keyed).catch((error: unknown) => {
      this.#replayed?.inc();
      throw error;
    });
    if (sealed === undefined) {
      actingNow()?.withWrites((trx) => this.#keys.record(trx, keyed));
      this.#keyed.set(request, keyed);
      return undefined;
    }
    // As before every handler: the body may have taken long to arrive.
    await actingNow()?.recheck(this.#database.read);
    this.#replayed?.inc();
    return replay(reply, open(keyed, sealed));
  }

  async #keep(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
    const keyed = this.#keyed.get(request);
    if (keyed === undefined) return payload;
    this.#keyed.delete(request);
    if (payload !== undefined && payload !== null && typeof payload !== 'string') return payload;
    const body = payload ?? '';
    if (Buffer.byteLength(body) > KEPT_BYTES_MAX) return payload;
    const type = reply.getHeader('content-type');
    const answer: KeptAnswer = { status: reply.statusCode, type: typeof type === 'string' ? type : null, body };
    try {
      await this.#keys.keep(keyed, seal(keyed.sealing, utf8(JSON.stringify(answer)), utf8(keyed.fingerprint)));
    } catch (error) {
      // The change is made and its record is there: a repeated request is answered that the answer is not kept.
      request.log.warn({ error: String(error) }, 'the answer of a request with an Idempotency-Key was not kept');
    }
    return payload;
  }
}

function notTaken(): HubError {
  return new HubError(
    'request-invalid',
    'this route takes no Idempotency-Key: it needs no token, or streams bytes, which continue by their own rules',
  );
}

function keyedOf(request: FastifyRequest, header: string | readonly string[]): Keyed {
  const key = typeof header === 'string' ? requestKeyPattern.exec(header)?.[2] : undefined;
  if (key === undefined) {
    const message = 'Idempotency-Key takes 16 to 128 visible characters without " \\ and comma, for example a UUID';
    throw new HubError('request-invalid', message);
  }
  const { id, caller } = requestKeyId(request.caller, key);
  const material = hkdfSync('sha256', utf8(key), parseHex(id, 'the id of a record'), 'edgekeep kept answer v1', 32);
  const sealing = createSecretKey(new Uint8Array(material));
  return { id, caller, request: randomUUID(), fingerprint: fingerprintOf(request), sealing };
}

function fingerprintOf({ method, url, body }: FastifyRequest): string {
  const text = body === undefined || body === null ? '' : JSON.stringify(body);
  return createHash('sha256')
    .update(utf8(`${method}\0${url}\0${text}`))
    .digest('hex');
}

function open({ sealing, fingerprint }: Keyed, sealed: Uint8Array): KeptAnswer {
  const bytes = unseal(sealing, sealed, utf8(fingerprint));
  if (bytes !== undefined) return parseJson(bytes, keptAnswer, 'a kept answer');
  throw new HubError('store-failed', 'the kept answer of this Idempotency-Key was altered in the store');
}

function replay(reply: FastifyReply, { status, type, body }: KeptAnswer): FastifyReply {
  reply.status(status).header(replayedHeader, 'true').serializer(asItIs);
  if (type !== null) reply.header('content-type', type);
  return reply.send(body);
}

function asItIs(body: unknown): string {
  return String(body);
}
