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
import { GuardError } from './error.ts';
import { deadlineOf, GrpcCall } from './grpc-call.ts';
import { readMessages } from './grpc-frames.ts';
import { encodeStreamAnswer } from './grpc-messages.ts';
import { type GrpcMethod, methodOf } from './grpc-methods.ts';
import { grpcStatus, isOurs, succeeded } from './grpc-status.ts';
import type { InferenceService } from './inference-service.ts';
import { HEADER_BYTES_MAX, IDLE_MS_MAX, REQUEST_MS_MAX, WAITING_MAX } from './limits.ts';

/** What a client may send on one call before we read it. */
const WINDOW_BYTES = 1024 * 1024;
/** Memory of Node's own for one connection, in megabytes. */
const SESSION_MEGABYTES_MAX = 16;
const mediaType = /^application\/grpc(?:\+proto)?(?:;|$)/;

export class GrpcServer {
  readonly #service: InferenceService;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #servers: Readonly<Record<GuardDoor['kind'], Http2Server>>;

  constructor(service: InferenceService) {
    this.#service = service;
    this.#servers = { local: this.#listen('local'), loopback: this.#listen('loopback') };
  }

  accept(socket: Socket, kind: GuardDoor['kind']): void {
    this.#servers[kind].emit('connection', socket);
  }

  /** Lets each client finish its calls, and take the next one to the next server. */
  retire(): void {
    for (const session of this.#sessions) session.close();
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
    server.on('session', (session) => this.#keep(session));
    server.on('sessionError', () => undefined);
    server.on('stream', (stream, headers) => void this.#answer(stream, headers, kind));
    return server;
  }

  #keep(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.setTimeout(IDLE_MS_MAX, () => session.close());
    session.on('error', () => session.destroy());
    session.on('close', () => this.#sessions.delete(session));
  }

  async #answer(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, kind: GuardDoor['kind']): Promise<void> {
    using call = new GrpcCall(stream);
    if (headers[':method'] !== 'POST' || !mediaType.test(headers['content-type'] ?? '')) {
      stream.respond({ ':status': 415 }, { endStream: true });
      return;
    }
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

  async #answerOne(call: GrpcCall, method: GrpcMethod, messages: AsyncGenerator<Uint8Array>): Promise<void> {
    const arrived = call.limit(REQUEST_MS_MAX, 'the message did not arrive in time');
    let answer: Uint8Array | undefined;
    for await (const message of orEnd(messages, call.ended)) {
      if (answer !== undefined) throw new GuardError('request-invalid', 'a second message in a call that takes one');
      arrived();
      const computed = method.answer(this.#service, message, () => call.isOver);
      answer = await Promise.race([computed, call.ended]);
    }
    if (answer === undefined) throw new GuardError('request-invalid', 'a call without a message');
    await call.send(answer);
  }

  /** A request that is refused gets its reason as an answer, and the call goes on. */
  async #answerEach(call: GrpcCall, method: GrpcMethod, messages: AsyncGenerator<Uint8Array>): Promise<void> {
    for await (const message of orEnd(messages, call.ended)) {
      const computed = method
        .answer(this.#service, message, () => call.isOver)
        .catch((error: unknown) => {
          const status = grpcStatus(error);
          this.#service.countRefusal(isOurs(status));
          return status.message;
        });
      await call.send(encodeStreamAnswer(await Promise.race([computed, call.ended])));
    }
  }
}

/** The messages, until the call ends. */
async function* orEnd(messages: AsyncGenerator<Uint8Array>, ended: Promise<never>): AsyncGenerator<Uint8Array> {
  try {
    for (;;) {
      const next = await Promise.race([messages.next(), ended]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // A reader that waits for bytes ends with its stream.
    void messages.return(undefined);
  }
}
