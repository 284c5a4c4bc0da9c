// The client of a hub's operator API: the operator file that `hub init` wrote (address, pinned root, token), and answers that are checked.
// The token is never in an argument list or a URL.
import { hostHeader, parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { withoutZone } from '@edgekeep/core/canonical/host';
import { messageOf } from '@edgekeep/core/message-of';
import { randomUUID } from 'node:crypto';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text as readText } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { TLSSocket } from 'node:tls';
import { CoreError } from '@edgekeep/core/error';
import { parseJson, parseValue } from '@edgekeep/core/json';
import { approvalRequired } from '@edgekeep/wire/api/approval';
import { HostError } from '@edgekeep/host/error';
import { isMissing } from '@edgekeep/host/missing-file';
import { errorResponse } from '@edgekeep/wire/api/error-response';
import { type Attempt, connectFailure } from '@edgekeep/wire/link/other-end/connect-failure';
import { personBytes } from '@edgekeep/core/person-text';
import { noteShown } from '@edgekeep/wire/link/other-end/refused-server';
import { serverExpectation, tlsClientOptions } from '@edgekeep/wire/link/tls';
import type { ZodType } from 'zod';
import { readSecretFile } from './bounded-file.ts';
import { type Arguments, UsageError } from './command.ts';
import { warnOfFormerNamesSent } from './former-names.ts';
import { type Access, operatorFile } from './operator-file.ts';
import { type OperatorProxy, proxyTo, TunnelAgent } from './operator-proxy.ts';
import { HubRefusal, isOfAnother, isOfProxy, isOwnFault, Unreachable } from './refusal.ts';
import { timeText } from './table.ts';

/** Roots by the dozen fit. */
const OPERATOR_FILE_BYTES_MAX = 262_144;

/** The option every online verb has. */
export const operatorOption = { operator: { type: 'string' } } as const;
export const operatorHelp = `--operator  the operator file of the hub (default: $EDGEKEEP_OPERATOR, else ~/.config/edgekeep/operator.json)`;

const answerMilliseconds = 60_000;
// A session that is resumed would not be judged by the server's certificate again.
const connections = new Agent({ keepAlive: true, maxCachedSessions: 0 });
// A hub that asks to slow down names a time. Its budgets are full again after seconds; a longer wait is reported.
const WAITED_SECONDS_MAX = 300;
// A connection that ended before the answer: the request is sent again with its Idempotency-Key (spec/idempotency-key.md).
const SENT_AGAIN_MAX = 5;
const SENT_AGAIN_MILLISECONDS_MAX = 4_000;

export interface Operator {
  get<T>(path: string, schema: ZodType<T>): Promise<T>;
  send<T>(method: 'POST' | 'PUT' | 'DELETE', path: string, body: unknown, schema: ZodType<T>): Promise<T>;
  /** Streams bytes to the hub, once: the caller waits itself when the hub answers `rate-limited`. */
  upload<T>(path: string, source: Readable, schema: ZodType<T>, headers?: Readonly<Record<string, string>>): Promise<T>;
  /** Streams lines of JSON to the hub; opens them again if it must repeat the request. */
  sendLines<T>(path: string, open: () => Readable, schema: ZodType<T>): Promise<T>;
  /** The body as received. */
  getBytes(path: string): Promise<Uint8Array>;
}

export async function openOperator(args: Pick<Arguments, 'option'>): Promise<Operator> {
  return operatorFromFile(operatorFileOf(args));
}

/** The proxy between this command line and the hub of the operator file, and where the hub is. */
export async function wayToHub(args: Pick<Arguments, 'option'>) {
  const access = await readAccess(operatorFileOf(args));
  return { proxy: await proxyTo(access), target: parseWebAddress(access.url) };
}

/** The hub's address and how to verify it: the operator file without its token, and without a proxy, which is its owner's own. */
export async function hubAddress(args: Pick<Arguments, 'option'>): Promise<Omit<Access, 'token' | 'proxy'>> {
  const { token: _, proxy: __, ...address } = await readAccess(operatorFileOf(args));
  return address;
}

/** The operator file to use. Throws `UsageError` when none is named and the user has no home, as in containers. */
export function operatorFileOf(args: Pick<Arguments, 'option'>, home: () => string = homedir): string {
  const named = args.option('operator') ?? process.env['EDGEKEEP_OPERATOR'];
  if (named !== undefined) return named;
  try {
    return join(home(), '.config/edgekeep/operator.json');
  } catch (cause) {
    throw new UsageError('this user has no home folder: name the operator file by --operator or $EDGEKEEP_OPERATOR', {
      cause,
    });
  }
}

async function readAccess(file: string): Promise<Access> {
  const bytes = await readSecretFile(file, OPERATOR_FILE_BYTES_MAX).catch((cause: unknown) => {
    if (!isMissing(cause)) throw cause;
    throw new HostError(
      'settings-invalid',
      `no operator file ${file}: name yours by --operator or $EDGEKEEP_OPERATOR`,
      {
        cause,
      },
    );
  });
  const what = `operator file ${file}`;
  return parseJson(personBytes(bytes, what), operatorFile, what);
}

/** Waits and repeats the request when the hub answers that there are too many; `wait` is for tests. */
export async function operatorFromFile(
  file: string,
  wait: (milliseconds: number) => Promise<void> = delay,
): Promise<Operator> {
  const access = await readAccess(file);
  const nodes = new Nodes(access, await proxyTo(access));
  const askOnce = async (
    method: string,
    path: string,
    body: Body,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Uint8Array> => {
    const way = nodes.current;
    const response = await exchange(way, method, path, body, headers);
    warnOfFormerNamesSent(response.headers);
    const bytes = await readAnswer(way.access, response);
    const status = response.statusCode ?? 0;
    if (status === 202) throw approvalNeeded(bytes);
    if (status >= 200 && status < 300) return bytes;
    throw refusalOf(status, bytes, response.headers['retry-after']);
  };
  const ask = (method: string, path: string, body: () => Body, headers?: Readonly<Record<string, string>>) =>
    askAgain(() => nodes.ask(() => askOnce(method, path, body(), headers)), wait);
  const parse = <T>(bytes: Uint8Array, schema: ZodType<T>) => parseJson(bytes, schema, 'the hub’s answer');
  return {
    get: async (path, schema) => parse(await ask('GET', path, () => undefined), schema),
    send: async (method, path, body, schema) => {
      const text = JSON.stringify(body);
      const headers = { 'idempotency-key': `"${randomUUID()}"` };
      return parse(await sendAgain(() => ask(method, path, () => text, headers), wait), schema);
    },
    upload: async (path, source, schema, headers) => parse(await askOnce('PUT', path, source, headers), schema),
    sendLines: async (path, open, schema) =>
      parse(await ask('POST', path, open, { 'content-type': 'application/x-ndjson' }), schema),
    getBytes: async (path) => ask('GET', path, () => undefined),
  };
}

/** The addresses of a hub: after one that is not reached, or ends, the next one. */
class Nodes {
  readonly #ways: readonly Way[];
  #at = 0;

  constructor(access: Access, proxy: OperatorProxy | undefined) {
    const agent = proxy === undefined ? connections : new TunnelAgent(proxy.proxy);
    this.#ways = [access.url, ...(access.otherUrls ?? [])].map((url) => {
      const endpoint = proxy === undefined ? parseWebAddress(url) : undefined;
      return { access: { ...access, url }, proxy, agent, endpoint };
    });
  }

  get current(): Way {
    const way = this.#ways[this.#at % this.#ways.length];
    if (way === undefined) throw new TypeError('an operator file without an address');
    return way;
  }

  /** What may have been sent is not repeated here: the caller knows whether that is safe. */
  async ask<T>(once: () => Promise<T>): Promise<T> {
    for (let tried = 1; ; tried += 1) {
      try {
        return await once();
      } catch (error) {
        const isGone = error instanceof Unreachable && error.code === 'unreachable';
        if (!isGone && !(error instanceof HubRefusal && error.code === 'hub-stopping')) throw error;
        this.#at += 1;
        if (!isGone || error.wasSent || tried === this.#ways.length) throw error;
      }
    }
  }
}

// A refusal with Retry-After comes before any work was done.
async function askAgain<T>(ask: () => Promise<T>, wait: (milliseconds: number) => Promise<void>): Promise<T> {
  for (let waited = 0; ;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof HubRefusal) || error.retryAfterSeconds === undefined) throw error;
      waited += error.retryAfterSeconds;
      if (waited > WAITED_SECONDS_MAX) throw error;
      await wait(error.retryAfterSeconds * 1_000);
    }
  }
}

// The hub may have done it: the same key again has it answer, and not do it twice.
async function sendAgain<T>(send: () => Promise<T>, wait: (milliseconds: number) => Promise<void>): Promise<T> {
  for (let again = 1; ; again += 1) {
    try {
      return await send();
    } catch (error) {
      if (!isLost(error) || again > SENT_AGAIN_MAX) throw error;
      const maxMilliseconds = Math.min(SENT_AGAIN_MILLISECONDS_MAX, 250 * 2 ** again);
      await wait((maxMilliseconds * (1 + Math.random())) / 2);
    }
  }
}

function isLost(error: unknown): boolean {
  if (error instanceof HubRefusal) return error.code === 'hub-stopping' || error.code === 'outcome-unknown';
  return error instanceof Unreachable && error.wasSent;
}

async function readAnswer(access: Access, response: IncomingMessage): Promise<Uint8Array> {
  try {
    return Buffer.from(await readText(response.setEncoding('latin1')), 'latin1');
  } catch (cause) {
    const why = messageOf(cause);
    throw new Unreachable(
      `the hub at ${access.url} closed the connection before its answer was complete: ${why}`,
      { cause },
      'unreachable',
      true,
    );
  }
}

type Body = string | Readable | undefined;

/** How the hub is reached. */
interface Way {
  readonly access: Access;
  readonly proxy: OperatorProxy | undefined;
  readonly agent: Agent;
  /** Undefined behind a proxy. */
  readonly endpoint: Attempt['endpoint'];
}

async function exchange(
  way: Way,
  method: string,
  path: string,
  body: Body,
  headers: Readonly<Record<string, string>>,
): Promise<IncomingMessage> {
  const { access, agent } = way;
  const { host, port } = parseWebAddress(access.url);
  const { pathname, search } = new URL(path, 'https://hub');
  const expected = { authoritiesPem: [access.root], serverName: access.serverName ?? withoutZone(host) };
  const contentType = typeof body === 'string' ? 'application/json' : 'application/octet-stream';
  return new Promise((resolve, reject) => {
    const outgoing = request(
      {
        ...tlsClientOptions(expected),
        host,
        port,
        path: pathname + search,
        method,
        agent,
        timeout: answerMilliseconds,
        headers: {
          host: hostHeader({ host, port }),
          authorization: `Bearer ${access.token}`,
          ...(body === undefined ? {} : { 'content-type': contentType }),
          ...headers,
        },
      },
      resolve,
    );
    outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer for ${answerMilliseconds / 1_000} s`)));
    const seen = watchConnection(outgoing);
    let settled = false;
    outgoing.on('response', () => (settled = true));
    const fail = (cause: Error) => {
      settled = true;
      const attempt = { endpoint: way.endpoint, expectation: serverExpectation(expected)(), shown: seen.shown() };
      notReached(way, cause, { ...attempt, wasSent: seen.wasSent() }).then(reject, reject);
    };
    outgoing.on('error', fail);
    // An answer that offers another protocol (status 101) is no response and no error to node:http: it only ends the connection.
    outgoing.on('close', () => {
      if (!settled) fail(new Error('the connection was closed without an answer'));
    });
    if (body === undefined || typeof body === 'string') outgoing.end(body);
    else {
      // A failure on this side is not a failure of the connection.
      const failed = (error: Error) => {
        reject(error);
        outgoing.destroy();
      };
      body.on('error', failed).pipe(outgoing);
    }
  });
}

/** What the other end of a request's connection shows, and whether the request may have reached the hub. */
function watchConnection(outgoing: ClientRequest) {
  let shown: () => readonly Uint8Array[] = () => [];
  let wasSent = false;
  outgoing.on('socket', (socket) => {
    // A connection that is used again was judged when it was made.
    wasSent = outgoing.reusedSocket;
    if (!(socket instanceof TLSSocket) || wasSent) return;
    shown = noteShown(socket);
    if (socket.authorized) wasSent = true;
    else socket.once('secureConnect', () => (wasSent = true));
  });
  return { shown: () => shown(), wasSent: () => wasSent };
}

async function notReached(
  { access: { url }, proxy }: Way,
  cause: Error,
  attempt: Attempt & { readonly wasSent: boolean },
): Promise<Unreachable> {
  const { code, message: why } = await connectFailure(cause, attempt);
  const message = proxy === undefined ? why : `${why} (through the proxy ${proxy.name}, from ${proxy.from})`;
  if (isOfProxy(code)) return new Unreachable(`the hub at ${url} cannot be reached: ${message}`, { cause }, code);
  if (code === 'unreachable')
    return new Unreachable(
      `the hub at ${url} cannot be reached: ${message}. Is \`edgekeep hub run\` running?`,
      { cause },
      code,
      attempt.wasSent,
    );
  if (isOfAnother(code)) {
    const advice = code === 'other-server' ? ': address and roots are those of the operator file' : '';
    return new Unreachable(
      `the hub is not at ${url}: ${message}. No request and no token was sent to it${advice}`,
      { cause },
      code,
    );
  }
  const text = `the hub at ${url} was refused: ${message}. No request and no token was sent to it`;
  return new Unreachable(text, { cause }, isOwnFault(code) ? code : 'other-server');
}

// Nothing was done yet, so it is no success.
function approvalNeeded(bytes: Uint8Array): HubRefusal {
  const { approvalRequired: asked } = parseJson(bytes, approvalRequired, 'the hub’s answer');
  const until = `until ${timeText(asked.expiresAt)} UTC`;
  return new HubRefusal(202, 'approval-required', `${asked.message}\n  SHA-256 ${asked.digest}, ${until}`);
}

function refusalOf(status: number, bytes: Uint8Array, retryAfter: string | undefined): HubRefusal {
  const seconds = /^[1-9][0-9]{0,3}$/.test(retryAfter ?? '') ? Number(retryAfter) : undefined;
  try {
    const { error } = parseValue(JSON.parse(Buffer.from(bytes).toString('utf8')), errorResponse, 'error');
    const reasons = error.reasons.map((reason) => `\n  - ${reason.code}: ${reason.message}`).join('');
    return new HubRefusal(status, error.code, error.message + reasons, seconds);
  } catch (error) {
    if (!(error instanceof CoreError || error instanceof SyntaxError)) throw error;
    return new HubRefusal(status, 'hub-error', `the hub answered ${status} without a reason: read the hub's log`);
  }
}
