// The operations that the hub needs of its bucket, each with a few tries: what may pass is waited for, what will not is named.
import { messageOf } from '@edgekeep/core/message-of';
import type { Bucket, ByteRange, ListedObject } from '../../artifact/bucket.ts';
import { HubError } from '../../common/error.ts';
import { parseListing } from './s3-listing.ts';
import { problemOf, type S3Problem } from './s3-problem.ts';
import type { S3Answer, S3Request, S3Requests } from './s3-request.ts';

export interface BucketDependencies {
  readonly requests: Pick<S3Requests, 'send'>;
  /** For messages. */
  readonly place: string;
  readonly prefix: string;
  /** Reads the secret; `again` where the server refused the one that was given before. */
  readonly secret: (again: boolean) => Promise<string>;
  readonly clock: () => number;
  /** Waits before the next try. */
  readonly wait: (milliseconds: number, signal?: AbortSignal) => Promise<void>;
  /** Told how each operation ended. */
  readonly ended?: (operation: Operation, outcome: string, seconds: number) => void;
}

export type Operation = 'put' | 'get' | 'delete' | 'list';

const TRIES_MAX = 4;
const FIRST_WAIT_MS = 250;
/** A server that asks for more is asked again by the next request. */
const WAIT_MS_MAX = 10_000;
const ERROR_BYTES_MAX = 65_536;
const LISTING_BYTES_MAX = 4 * 1024 * 1024;
/** Of 1000 keys each: more objects than 500 files of 100 GB have. */
const PAGES_MAX = 10_000;
/** Requests that wait for a connection; those behind them are asked to come back. */
const WAITING_MAX = 2_000;

type Outcome<T> = { readonly kind: 'done'; readonly value: T } | S3Problem;

export class S3Bucket implements Bucket {
  readonly #dependencies: BucketDependencies;
  #running = 0;

  constructor(dependencies: BucketDependencies) {
    this.#dependencies = dependencies;
  }

  async put(key: string, bytes: Uint8Array): Promise<void> {
    const asked = { method: 'PUT', path: this.#pathOf(key), body: bytes, maxBytes: ERROR_BYTES_MAX } as const;
    await this.#run('put', asked, () => undefined);
  }

  async get(key: string, range: ByteRange, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const { start, end } = range;
    const headers = { range: `bytes=${start}-${end}` };
    // A server may answer with the whole object in place of the range (RFC 9110 section 14.2).
    const maxBytes = Math.max(ERROR_BYTES_MAX, end + 1, 8 * 1024 * 1024);
    const asked = {
      method: 'GET',
      path: this.#pathOf(key),
      headers,
      maxBytes,
      expectedBytes: end + 1 - start,
      signal,
    } as const;
    return this.#run('get', asked, (answer) => rangeIn(answer, range));
  }

  async getWhole(key: string, maxBytes: number): Promise<Uint8Array | undefined> {
    const limits = { maxBytes: Math.max(ERROR_BYTES_MAX, maxBytes), expectedBytes: maxBytes };
    const asked = { method: 'GET', path: this.#pathOf(key), ...limits } as const;
    return this.#run('get', asked, ({ status, body }) => (status === 200 ? body : undefined));
  }

  async remove(key: string): Promise<void> {
    await this.#run(
      'delete',
      { method: 'DELETE', path: this.#pathOf(key), maxBytes: ERROR_BYTES_MAX },
      () => undefined,
    );
  }

  async *list(folder: string): AsyncGenerator<ListedObject> {
    const { prefix } = this.#dependencies;
    const query = { 'list-type': '2', 'encoding-type': 'url', 'max-keys': '1000', prefix: `${prefix}${folder}` };
    let token: string | undefined;
    let pages = 0;
    do {
      const more: Record<string, string> = token === undefined ? {} : { 'continuation-token': token };
      const asked = { method: 'GET', path: '', query: { ...query, ...more }, maxBytes: LISTING_BYTES_MAX } as const;
      const page = await this.#run('list', asked, ({ body }) => parseListing(body.toString('utf8')));
      if (page === undefined) throw this.#error('refused', 'it answered something that is no listing');
      for (const object of page.objects) {
        // What a listing adds is not ours.
        if (object.key.startsWith(query.prefix)) yield { ...object, key: object.key.slice(prefix.length) };
      }
      pages += 1;
      if (pages > PAGES_MAX || (page.next !== undefined && page.next === token))
        throw this.#error('refused', 'its listing has no end');
      token = page.next;
    } while (token !== undefined);
  }

  #pathOf(key: string): string {
    return `${this.#dependencies.prefix}${key}`;
  }

  /** What `read` makes of a success; undefined for an object that is not there. */
  async #run<T>(operation: Operation, asked: S3Request, read: (answer: S3Answer) => T): Promise<T | undefined> {
    if (this.#running >= WAITING_MAX)
      throw new HubError('artifacts-busy', 'too many requests wait for the bucket', { retryAfterSeconds: 5 });
    this.#running += 1;
    const began = performance.now();
    const ended = (outcome: string) =>
      this.#dependencies.ended?.(operation, outcome, (performance.now() - began) / 1_000);
    try {
      const outcome = await this.#try(asked, read);
      ended(outcome.kind);
      if (outcome.kind === 'done') return outcome.value;
      if (outcome.kind === 'missing') return undefined;
      if (outcome.kind === 'short')
        throw new HubError('artifact-lost', `${this.#dependencies.place}: ${asked.path}: ${outcome.text}`);
      throw this.#error(outcome.kind, `${operation} ${asked.path}: ${outcome.text}`, outcome);
    } catch (error) {
      if (!(error instanceof HubError)) ended('stopped');
      throw error;
    } finally {
      this.#running -= 1;
    }
  }

  async #try<T>(asked: S3Request, read: (answer: S3Answer) => T): Promise<Outcome<T>> {
    const { wait } = this.#dependencies;
    for (let tries = 1; ; tries += 1) {
      const outcome = await this.#once(asked, read, tries > 1);
      asked.signal?.throwIfAborted();
      const isLast = tries === TRIES_MAX;
      if (outcome.kind === 'passing' && !isLast) {
        const backOffMs = FIRST_WAIT_MS * 2 ** (tries - 1) * (0.5 + Math.random());
        await wait(Math.min(Math.max(backOffMs, outcome.retryAfterMs ?? 0), WAIT_MS_MAX), asked.signal);
      } else if (outcome.kind === 'refused' && tries === 1 && /^40[13]/.test(outcome.text)) {
        // A secret that was changed a moment ago: its file has the new one.
      } else return outcome;
    }
  }

  async #once<T>(asked: S3Request, read: (answer: S3Answer) => T, again: boolean): Promise<Outcome<T>> {
    const { requests, secret, clock } = this.#dependencies;
    const given = await secret(again);
    let answer: S3Answer;
    try {
      answer = await requests.send(asked, given, clock());
    } catch (error) {
      asked.signal?.throwIfAborted();
      const kind = isTrustProblem(error) ? 'refused' : 'passing';
      return { kind, text: `no answer: ${wayText(error)}`, retryAfterMs: undefined };
    }
    return problemOf(answer, clock()) ?? { kind: 'done', value: read(answer) };
  }

  #error(kind: 'passing' | 'refused', text: string, problem?: S3Problem): HubError {
    const message = `${this.#dependencies.place}: ${text}`;
    if (kind === 'refused') return new HubError('artifacts-refused', message);
    const retryAfterSeconds = Math.min(60, Math.ceil((problem?.retryAfterMs ?? 5_000) / 1_000));
    return new HubError('artifacts-unreachable', message, { retryAfterSeconds });
  }
}

/** The range, also of an answer with the whole object; another answer has the wrong length, and its digests do not fit. */
function rangeIn({ status, body }: S3Answer, { start, end }: ByteRange): Uint8Array {
  return status === 206 ? body : body.subarray(start, end + 1);
}

// Certificates that do not lead to a trusted root, have ended or are for another name: a second try meets the same.
function isTrustProblem(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /^(?:ERR_TLS_|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|EPROTO$|ERR_SSL_)/.test(code);
}

function wayText(error: unknown): string {
  // The caller's own end is thrown before: this is that of the time.
  if (error instanceof Error && ['AbortError', 'TimeoutError'].includes(error.name)) return 'it took too long';
  // Both families were tried: the first says enough.
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0]);
  return messageOf(error);
}
