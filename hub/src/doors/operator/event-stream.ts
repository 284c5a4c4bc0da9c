// Operator API: what happens, as it happens: entries of the audit log as server-sent events (WHATWG HTML, "Server-sent events"; spec/events.md).
// The answer has no end. The authority of its request is asked again before anything is read for it.
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { eventStreamQuery } from '@edgekeep/wire/api/event';
import { Gauge, type Registry } from 'prom-client';
import { HubError } from '../../common/error.ts';
import { coveredSize, type LogEvent, readBatch } from '../../event/events.ts';
import { type Acting, actingNow, runActing } from '../../store/authority.ts';
import type { Database } from '../../store/database.ts';
import { streamed } from '../http/body-watch.ts';
import type { HttpServer } from '../http/server.ts';
import { chargeBytes } from '../http/work.ts';
import { bytesAs } from '../openapi/answers.ts';
import type { StoreRouteDependencies } from './door.ts';

/** Of one person, or of one who pays for services. */
const STREAMS_OF_ONE_MAX = 8;
const STREAMS_MAX = 256;
/** A proxy on the way ends a connection that is silent for longer. */
const SILENT_MS = 15_000;
/** Between batches of a client that is far behind, so that others are served. */
const PACE_MS = 10;
/** What a client waits before it connects again. */
const RETRY_MS = 5_000;
const mediaType = 'text/event-stream';
const answer = bytesAs(mediaType);

/** The streams that are open, by who pays for them. */
export class EventStreams {
  readonly #open = new Map<string, number>();
  #count = 0;

  readonly metrics = (registry: Registry): void => {
    const count = () => this.#count;
    registry.registerMetric(
      new Gauge({
        name: 'edgekeep_event_streams',
        help: 'Streams of events that are open now.',
        registers: [],
        collect() {
          this.set(count());
        },
      }),
    );
  };

  /** Returns the function that ends it: call it once. Throws `rate-limited`. */
  begin(payer: string): () => void {
    const own = this.#open.get(payer) ?? 0;
    if (own >= STREAMS_OF_ONE_MAX || this.#count >= STREAMS_MAX)
      throw new HubError('rate-limited', `too many streams are open: at most ${STREAMS_OF_ONE_MAX} for one person`, {
        retryAfterSeconds: RETRY_MS / 1_000,
      });
    this.#open.set(payer, own + 1);
    this.#count += 1;
    return () => {
      const left = (this.#open.get(payer) ?? 1) - 1;
      if (left === 0) this.#open.delete(payer);
      else this.#open.set(payer, left);
      this.#count -= 1;
    };
  }
}

interface StreamSettings {
  readonly pollMilliseconds: number;
  /** A client that takes nothing for this time is cut. */
  readonly maxStalledSeconds: number;
}

interface EventStreamDependencies extends StoreRouteDependencies {
  readonly streams: EventStreams;
  readonly settings: StreamSettings;
}

export function eventStreamRoutes(app: HttpServer, dependencies: EventStreamDependencies): void {
  const { database, requireScope, streams, settings } = dependencies;
  app.get(
    '/v1/events',
    {
      // It holds no turn, and a HEAD would read it for ever.
      ...streamed(requireScope('audit:read')),
      exposeHeadRoute: false,
      schema: { querystring: eventStreamQuery, response: { 200: answer } },
    },
    async (request, reply) => {
      const { kind } = request.query;
      const size = await coveredSize(database.read);
      const from = lastPosition(request) ?? request.query.from ?? size;
      if (from > size)
        throw new HubError('request-invalid', `the log has ${size} entries: a stream cannot begin at ${from}`);
      const acting = actingNow();
      if (acting === undefined) throw new TypeError('a stream of no request');
      const end = streams.begin(request.payer.key);
      reply.raw.once('close', end);
      const source = { database, acting, kinds: kind.length === 0 ? undefined : kind, settings };
      const stream = Readable.from(eventText(request, reply, { ...source, from }), { objectMode: false });
      return reply.type(mediaType).headers({ 'cache-control': 'no-store', 'x-accel-buffering': 'no' }).send(stream);
    },
  );
}

/** Where a client that connects again goes on; the id of an event is the position behind it. */
function lastPosition({ headers }: FastifyRequest): number | undefined {
  const text = headers['last-event-id'];
  if (text === undefined || text === '') return undefined;
  if (typeof text === 'string' && /^(?:0|[1-9]\d{0,14})$/.test(text)) return Number(text);
  throw new HubError('request-invalid', 'Last-Event-ID is not one of this stream: expected the position of an entry');
}

interface Source {
  readonly database: Database;
  readonly acting: Acting;
  readonly kinds: readonly string[] | undefined;
  readonly from: number;
  readonly settings: StreamSettings;
}

/** Ends when the connection does, when the caller may not ask any more, or when the hub stops. */
async function* eventText(
  request: FastifyRequest,
  { raw }: FastifyReply,
  { database, acting, kinds, from, settings }: Source,
): AsyncGenerator<Buffer> {
  const closed = new AbortController();
  raw.once('close', () => closed.abort());
  const send = sender(request, raw, settings.maxStalledSeconds * 1_000);
  let position = from;
  let heardAt = performance.now();
  yield* send(`retry: ${RETRY_MS}\nid: ${position}\n\n`);
  while (!closed.signal.aborted) {
    const batch = await nextBatch(database, acting, { from: position, kinds });
    if (batch === undefined) return;
    const moved = batch.next > position;
    position = batch.next;
    if (batch.events.length > 0) {
      yield* send(batch.events.map(textOf).join(''));
      heardAt = performance.now();
    } else if (performance.now() - heardAt >= SILENT_MS) {
      // The id alone: a client that connects again does not begin with entries that it does not want.
      yield* send(`: nothing new\nid: ${position}\n\n`);
      heardAt = performance.now();
    }
    // Aborted: the connection has ended, and so does the loop.
    await delay(moved ? PACE_MS : settings.pollMilliseconds, undefined, { signal: closed.signal }).catch(
      () => undefined,
    );
  }
}

/** Undefined when the caller may not ask any more, or the hub stops. */
async function nextBatch(database: Database, acting: Acting, place: Parameters<typeof readBatch>[1]) {
  return runActing(acting, async () => {
    try {
      await acting.recheck(database.read);
      return await readBatch(database.read, place);
    } catch (error) {
      // A client that connects again gets the reason.
      if (error instanceof HubError) return undefined;
      throw error;
    }
  });
}

function textOf({ index, at, kind, actor, subject, data }: LogEvent): string {
  return `id: ${index + 1}\ndata: ${JSON.stringify({ index, at, kind, actor, subject, data })}\n\n`;
}

/** Sends a piece, and cuts a client that does not take it. */
function sender(request: FastifyRequest, raw: FastifyReply['raw'], maxStalledMs: number) {
  return async function* send(text: string): AsyncGenerator<Buffer> {
    const bytes = Buffer.from(text);
    chargeBytes(request, bytes.length);
    const stalled = setTimeout(() => raw.destroy(), maxStalledMs).unref();
    try {
      yield bytes;
    } finally {
      clearTimeout(stalled);
    }
  };
}
