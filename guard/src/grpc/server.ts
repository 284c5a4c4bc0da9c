// The protocol's gRPC flavor over HTTP/2 without TLS, on the same connections as HTTP/1.1 (first-bytes.ts); same queue, same limits, same
// refusals. gRPC over HTTP/2 is grpc/doc/PROTOCOL-HTTP2.md: messages in frames of their own, and the outcome in trailers. Follows
// spec/inference.md section 6.
import {
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { Socket } from 'node:net';
import { isLoopbackRequest } from '@edgekeep/core/loopback-request';
import type { GuardDoor } from '@edgekeep/core/model/guard-protocol';
import { GuardError } from '../error.ts';
import { deadlineOf, GrpcCall } from './call.ts';
import { type Message, readMessages } from './frames.ts';
import { encodeStreamAnswer } from './messages.ts';
import { type AnsweringMethod, methodOf, type WatchingMethod } from './methods.ts';
import { grpcStatus, isOurs, succeeded } from './status.ts';
import type { InferenceService } from '../inference-service.ts';
import { HEADER_BYTES_MAX, IDLE_MS_MAX, REQUEST_MS_MAX, WAITING_MAX, WATCHES_MAX } from '../limits.ts';

/** What a client may send on one call before we read it. */
const WINDOW_BYTES = 1024 * 1024;
/** Memory of Node's own for one connection, in megabytes. */
const SESSION_MEGABYTES_MAX = 16;
const mediaType = /^application\/grpc(?:\+proto)?(?:;|$)/;

export class GrpcServer {
  readonly #service: InferenceService;
  readonly #idleMs: number;
  readonly #sessions = new Set<ServerHttp2Session>();
  /** Tells each watching call that the guard leaves, with its session. */
  readonly #watching = new Map<() => void, ServerHttp2Stream['session']>();
  #left = false;
  readonly #servers: Readonly<Record<GuardDoor['kind'], Http2Server>>;

  /** `idleMs` is how long a connection may make no progress. */
  constructor(service: InferenceService, idleMs = IDLE_MS_MAX) {
    this.#service = service;
    this.#idleMs = idleMs;
    service.stopSignal.addEventListener('abort', () => this.#leave());
    this.#servers = { local: this.#listen('local'), loopback: this.#listen('loopback') };
  }

  accept(socket: Socket, kind: GuardDoor['kind']): void {
    const server = this.#servers[kind];
    // Emitted before the next line is done.
    server.once('session', (session: ServerHttp2Session) => this.#keep(session, socket));
    server.emit('connection', socket);
  }

  /** Lets each client finish its calls, and take the next one to the next server. */
  retire(): void {
    this.#leave();
    for (const session of this.#sessions) session.close();
  }

  #leave(): void {
    this.#left = true;
    for (const leave of this.#watching.keys()) leave();
  }

  [Symbol.dispose](): void {
    for (const session of this.#sessions) session.destroy();
  }

  #listen(kind: GuardDoor['kind']): Http2Server {
    const server = createServer({
      maxSessionMemory: SESSION_MEGABYTES_MAX,
      settings: {
        maxConcurrentStreams: WAITING_MAX,
        maxHeaderListSize: HEADER_BYTES_MAX,
        initialWindowSize: WINDOW_BYTES,
        enablePush: false,
      },
    });
    server.on('sessionError', () => undefined);
    server.on('stream', (stream, headers) => void this.#answer(stream, headers, kind));
    return server;
  }

  #keep(session: ServerHttp2Session, socket: Socket): void {
    this.#sessions.add(session);
    // A session that closes waits until its client has read everything: one that does not read would keep its place.
    let waited: NodeJS.Timeout | undefined;
    session.setTimeout(this.#idleMs);
    session.on('timeout', () => {
      if ([...this.#watching.values()].includes(session)) return;
      session.close();
      waited ??= setTimeout(() => socket.destroy(), this.#idleMs);
    });
    session.on('error', () => session.destroy());
    session.on('close', () => {
      clearTimeout(waited);
      this.#sessions.delete(session);
    });
  }

  async #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, kind: GuardDoor['kind']): Promise<void> {
    using call = new GrpcCall(stream);
    if (headers[':method'] !== 'POST' || !mediaType.test(headers['content-type'] ?? '')) return call.refuse(415);
    try {
      const { ':authority': host, origin } = headers;
      if (kind === 'loopback' && !isLoopbackRequest({ host, origin }))
        throw new GuardError('origin-refused', 'not for web pages: ask 127.0.0.1, without an Origin header');
      const deadline = deadlineOf(headers);
      if (deadline !== undefined) call.limit(deadline, 'the deadline of the call');
      const method = methodOf(headers[':path'] ?? '');
      const encoding = String(headers['grpc-encoding'] ?? 'identity');
      const limit = () => call.limit(REQUEST_MS_MAX, 'the message did not arrive in time');
      const messages = readMessages(stream, encoding, this.#service.bodies, limit);
      if (method.kind === 'watch') return await this.#answerWatch(call, method, messages);
      await (method.kind === 'unary'
        ? this.#answerOne(call, method, messages)
        : this.#answerEach(call, method, messages));
      call.finish(succeeded);
    } catch (error) {
      const status = grpcStatus(error);
      this.#service.countRefusal(isOurs(status));
      call.finish(status);
    }
  }

  async #answerOne(call: GrpcCall, method: AnsweringMethod, messages: AsyncGenerator<Message>): Promise<void> {
    const arrived = call.limit(REQUEST_MS_MAX, 'the message did not arrive in time');
    let answer: Uint8Array | undefined;
    for await (const message of orEnd(messages, call)) {
      arrived();
      if (answer !== undefined) {
        message[Symbol.dispose]();
        throw new GuardError('request-invalid', 'a second message in a call that takes one');
      }
      answer = await call.orEnd(this.#compute(call, method, message));
    }
    if (answer === undefined) throw new GuardError('request-invalid', 'a call without a message');
    await call.send(answer);
  }

  /** Ends when the client ends it, or when the guard leaves: by `UNAVAILABLE`, so that the client asks again. */
  async #answerWatch(call: GrpcCall, method: WatchingMethod, messages: AsyncGenerator<Message>): Promise<void> {
    const asked: Uint8Array[] = [];
    const arrived = call.limit(REQUEST_MS_MAX, 'the message did not arrive in time');
    for await (const message of orEnd(messages, call)) {
      using held = message;
      if (asked.push(Uint8Array.from(held.bytes)) > 1)
        throw new GuardError('request-invalid', 'a second message in a call that takes one');
    }
    arrived();
    const [first] = asked;
    if (first === undefined) throw new GuardError('request-invalid', 'a call without a message');
    if (this.#watching.size >= WATCHES_MAX) throw new GuardError('queue-full', `${WATCHES_MAX} calls watch already`);
    const leaving = Promise.withResolvers<void>();
    this.#watching.set(leaving.resolve, call.stream.session);
    call.keepOpen();
    try {
      if (this.#left || this.#service.stopping) leaving.resolve();
      const left = () => call.orEnd(leaving.promise);
      for await (const status of method.watch(this.#service, first, left)) await call.send(status);
    } catch (error) {
      if (call.stream.destroyed || call.stream.closed) return;
      throw error;
    } finally {
      this.#watching.delete(leaving.resolve);
    }
    call.finish(grpcStatus(new GuardError('stopping', 'the guard leaves: ask again')));
  }

  /** A request that is refused gets its reason as an answer, and the call goes on. */
  async #answerEach(call: GrpcCall, method: AnsweringMethod, messages: AsyncGenerator<Message>): Promise<void> {
    for await (const message of orEnd(messages, call)) {
      const computed = this.#compute(call, method, message).catch((error: unknown) => {
        const status = grpcStatus(error);
        this.#service.countRefusal(isOurs(status));
        return status.message;
      });
      await call.send(encodeStreamAnswer(await call.orEnd(computed)));
    }
  }

  /** The memory of a message is held while its answer waits and is computed, also when the call has ended, and not while the answer is sent. */
  async #compute(call: GrpcCall, method: AnsweringMethod, message: Message): Promise<Uint8Array> {
    using held = message;
    return await method.answer(this.#service, held.bytes, () => call.isOver);
  }
}

/** The messages, until the call ends. */
async function* orEnd(messages: AsyncGenerator<Message>, call: GrpcCall): AsyncGenerator<Message> {
  try {
    for (;;) {
      const arriving = messages.next();
      const next = await call.orEnd(arriving).catch((error: unknown) => {
        // Nobody is left to take it.
        arriving.then(
          ({ value }) => value?.[Symbol.dispose](),
          () => undefined,
        );
        throw error;
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A reader that waits for bytes ends with its stream.
    void messages.return(undefined);
  }
}
