// One signed request to an S3 server: AWS Signature Version 4, a limit on time and on the answer. The other end is a stranger's server, or a
// stranger on the way to it. A redirect is an answer like others: a signed request goes to no other place.
import { AwsV4Signer } from 'aws4fetch';
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { sha256Hex } from '@edgekeep/core/digest';

export interface S3Place {
  /** A URL with a slash at the end; the bucket is in its host or its path. */
  readonly root: string;
  readonly region: string;
  readonly accessKeyId: string;
  /** PEM; undefined for the roots of Node. */
  readonly ca: string | undefined;
  readonly maxConnections: number;
}

export interface S3Request {
  readonly method: 'GET' | 'PUT' | 'DELETE';
  /** From the bucket on, as it is sent: keys have no character that is encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** A longer answer is cut off, and is a failure. */
  readonly maxBytes: number;
  /** How much of an answer the time is meant for. */
  readonly expectedBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface S3Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

export interface TimeLimits {
  /** A server may take this long before its first byte, and between two. */
  readonly silentMs: number;
  /** A slower server is a failing one: a request that dripped on would occupy its connection for hours. */
  readonly minBytesPerMs: number;
}

const timeLimits: TimeLimits = { silentMs: 20_000, minBytesPerMs: 64 };

export class S3Requests implements Disposable {
  readonly #place: S3Place;
  readonly #limits: TimeLimits;
  readonly #agent: HttpAgent | HttpsAgent;
  /** Derived keys of today, so that each request costs one HMAC. */
  readonly #keys = new Map<string, ArrayBuffer>();

  constructor(place: S3Place, limits = timeLimits) {
    this.#place = place;
    this.#limits = limits;
    const { maxConnections: maxSockets, ca, root } = place;
    const options = { keepAlive: true, maxSockets, maxFreeSockets: maxSockets, timeout: limits.silentMs };
    // Said outright, because an environment variable can turn it off for everything else.
    const tls = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) };
    this.#agent = root.startsWith('https:') ? new HttpsAgent({ ...options, ...tls }) : new HttpAgent(options);
  }

  /** Rejects where no whole answer comes. */
  async send(asked: S3Request, secret: string, nowMs: number): Promise<S3Answer> {
    const url = new URL(asked.path, this.#place.root);
    for (const [name, value] of Object.entries(asked.query ?? {})) url.searchParams.set(name, value);
    const headers = await this.#sign(asked, url, secret, nowMs);
    const moved = (asked.expectedBytes ?? 0) + (asked.body?.length ?? 0);
    const limitMs = this.#limits.silentMs + Math.ceil(moved / this.#limits.minBytesPerMs);
    const signals = [AbortSignal.timeout(limitMs), ...(asked.signal === undefined ? [] : [asked.signal])];
    return this.#exchange(url, asked, headers, AbortSignal.any(signals));
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
    this.#keys.clear();
  }

  async #sign({ method, headers = {}, body }: S3Request, url: URL, secret: string, nowMs: number) {
    if (this.#keys.size > 8) this.#keys.clear();
    const signer = new AwsV4Signer({
      method,
      url: url.href,
      headers: { ...headers, 'x-amz-content-sha256': sha256Hex(body ?? new Uint8Array(0)) },
      accessKeyId: this.#place.accessKeyId,
      secretAccessKey: secret,
      service: 's3',
      region: this.#place.region,
      cache: this.#keys,
      datetime: new Date(nowMs).toISOString().replaceAll(/[:-]|\.\d{3}/g, ''),
    });
    const signed = await signer.sign();
    return { ...Object.fromEntries(signed.headers), ...(body === undefined ? {} : { 'content-length': body.length }) };
  }

  async #exchange(
    url: URL,
    { method, body, maxBytes }: S3Request,
    headers: Record<string, string | number>,
    signal: AbortSignal,
  ): Promise<S3Answer> {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest;
    return new Promise((resolve, reject) => {
      const outgoing = send(url, { method, headers, signal, agent: this.#agent }, (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > maxBytes) response.destroy(new RangeError(`an answer of more than ${maxBytes} bytes`));
          else chunks.push(chunk);
        });
        response.once('error', reject);
        response.once('end', () => {
          const { statusCode: status = 0, headers: answered } = response;
          resolve({ status, headers: answered, body: Buffer.concat(chunks) });
        });
      });
      const { silentMs } = this.#limits;
      outgoing.setTimeout(silentMs, () => outgoing.destroy(new Error(`no byte for ${silentMs / 1_000} s`)));
      outgoing.on('error', reject);
      outgoing.once('close', () => reject(new Error('it closed the connection without an answer')));
      outgoing.end(body);
    });
  }
}
