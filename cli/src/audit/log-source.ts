// The files of a log, from a folder or a web server. Both serve the paths of c2sp.org/tlog-tiles.
import { join } from 'node:path';
import { parseWebAddress } from '@edgekeep/core/canonical/endpoint';
import { withoutZone } from '@edgekeep/core/canonical/host';
import { CoreError } from '@edgekeep/core/error';
import { readBounded } from '../bounded-file.ts';
import type { Operator } from '../operator.ts';
import { HubRefusal, Unreachable } from '../refusal.ts';

export interface LogSource {
  /** How many requests may run concurrently. */
  readonly atOnce: number;
  /** The file's bytes; undefined when the log has no such file; throws `bytes-too-long` beyond `maxBytes`. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
}

/** A server that keeps a request open longer than this counts as unreachable. */
const requestMs = 30_000;

/** `place` is an http(s) URL, the log's prefix, or a folder. An operator reads the log of their hub, entries included. */
export function openLogSource(place: string, operator?: Operator): LogSource {
  if (operator !== undefined) return operatorSource(operator);
  return /^https?:\/\//i.test(place) ? webSource(prefixIn(place)) : folderSource(place);
}

function prefixIn(place: string): string {
  const { host, text } = parseWebAddress(place);
  // The platform's client takes no interface.
  if (host !== withoutZone(host))
    throw new CoreError(
      'address-invalid',
      `${place}: the log of a server at a link-local address is read by \`audit verify hub\``,
    );
  return text.replace(/\/*$/, '/');
}

function operatorSource(operator: Operator): LogSource {
  return {
    atOnce: 8,
    async read(path, maxBytes) {
      try {
        const bytes = await operator.getBytes(`/log/${path}`);
        if (bytes.length > maxBytes) throw tooLarge(path, maxBytes);
        return bytes;
      } catch (error) {
        if (error instanceof HubRefusal && error.status === 404) return undefined;
        throw error;
      }
    },
  };
}

function folderSource(folder: string): LogSource {
  return {
    atOnce: 2,
    async read(path, maxBytes) {
      try {
        return await readBounded(join(folder, path), maxBytes);
      } catch (error) {
        if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
          return undefined;
        }
        throw error;
      }
    },
  };
}

function webSource(prefix: string): LogSource {
  return {
    atOnce: 8,
    async read(path, maxBytes) {
      const url = `${prefix}${path}`;
      try {
        const response = await fetch(url, { signal: AbortSignal.timeout(requestMs) });
        if (response.status === 404 || response.status === 410) {
          await response.body?.cancel();
          return undefined;
        }
        if (response.status === 401 || response.status === 403)
          throw new HubRefusal(
            response.status,
            'scope-missing',
            `${url} is for auditors: with a token of the scope audit:read use \`audit verify hub\`; anybody can verify with --hashes-only`,
          );
        if (!response.ok || response.body === null) {
          throw new Unreachable(`${url} answered ${response.status}`);
        }
        return await bounded(response.body, path, maxBytes);
      } catch (cause) {
        if ([Unreachable, HubRefusal, CoreError].some((kind) => cause instanceof kind)) throw cause;
        const reason = cause instanceof Error && cause.cause instanceof Error ? cause.cause.message : String(cause);
        throw new Unreachable(`${url}: ${reason}`, { cause });
      }
    },
  };
}

async function bounded(body: ReadableStream<Uint8Array>, path: string, maxBytes: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of body) {
    length += part.length;
    if (length > maxBytes) throw tooLarge(path, maxBytes);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

function tooLarge(path: string, maxBytes: number): CoreError {
  return new CoreError('bytes-too-long', `${path}: over ${maxBytes} bytes`);
}
