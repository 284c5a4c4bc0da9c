// A limited cache of replayed logs, owned by the caller: devices of one fleet boot the same log, and replaying it once is enough. Only logs
// with a valid signature over their values are kept, so a stranger cannot push the fleet's logs out.
import { sha256Hex } from '../digest.ts';
import { parseEventLog } from './event-log.ts';
import { type ReplayedLog, replayEventLog } from './replay.ts';

const BYTES_MAX = 64 * 1024 * 1024; // parsed logs hold on to their bytes

export interface LogCache {
  readonly maxEntries: number;
  /** By SHA-256 of the log, hex; least recently used first. */
  readonly entries: Map<string, { readonly replayed: ReplayedLog; readonly size: number }>;
  size: number;
}

/** An empty cache for at most `limitEntries` logs and 64 MiB of log bytes. */
export function createLogCache(limitEntries: number): LogCache {
  return { maxEntries: limitEntries, entries: new Map(), size: 0 };
}

export interface OpenedLog {
  /** Whether it was replayed before: then it is not read again. */
  readonly isKnown: boolean;
  /**
   * Reads and replays the log in its sha256 bank. Returns it with the function that keeps it; call that only after a signature covered the
   * replayed values.
   */
  replay(): { readonly replayed: ReplayedLog; readonly keep: () => void };
}

export function openLog(bytes: Uint8Array, cache: LogCache | undefined): OpenedLog {
  const none = () => {};
  if (cache === undefined) {
    return { isKnown: false, replay: () => ({ replayed: replayEventLog(parseEventLog(bytes), 'sha256'), keep: none }) };
  }
  const digest = sha256Hex(bytes);
  const hit = cache.entries.get(digest);
  if (hit !== undefined) {
    cache.entries.delete(digest);
    cache.entries.set(digest, hit);
    return { isKnown: true, replay: () => ({ replayed: hit.replayed, keep: none }) };
  }
  return {
    isKnown: false,
    replay() {
      // A copy, because the log is a view into a larger message that the cache must not keep in memory.
      const replayed = replayEventLog(parseEventLog(Uint8Array.from(bytes)), 'sha256');
      return { replayed, keep: () => keep(cache, digest, { replayed, size: bytes.length }) };
    },
  };
}

function keep(cache: LogCache, digest: string, entry: { readonly replayed: ReplayedLog; readonly size: number }): void {
  if (cache.maxEntries < 1 || cache.entries.has(digest)) return;
  cache.entries.set(digest, entry);
  cache.size += entry.size;
  for (const [oldest, { size }] of cache.entries) {
    if (cache.entries.size <= cache.maxEntries && cache.size <= BYTES_MAX) return;
    cache.entries.delete(oldest);
    cache.size -= size;
  }
}
