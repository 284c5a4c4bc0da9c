// When and from which address a token was last used. Written after the request and at most once a minute for each token, so that requests
// do not wait for it; stored, so that it survives a restart of the hub.
import { LruMap } from 'toad-cache';
import type { Database } from '../store/database.ts';
import type { Caller } from './api-token.ts';

const writtenEveryMs = 60_000;
// Above this number the oldest is forgotten here, and written once more at its next use.
const REMEMBERED_MAX = 10_000;

export class TokenUse {
  readonly #database: Database;
  readonly #writtenAt = new LruMap<number>(REMEMBERED_MAX);

  constructor(database: Database) {
    this.#database = database;
  }

  note({ tokenSha256: sha256 }: Pick<Caller, 'tokenSha256'>, address: string, nowMs: number): void {
    const writtenAt = this.#writtenAt.get(sha256);
    // If the clock was set back, the notes do not pause until it has caught up.
    if (writtenAt !== undefined && Math.abs(nowMs - writtenAt) < writtenEveryMs) return;
    this.#writtenAt.set(sha256, nowMs);
    const use = { last_used_at: nowMs, last_used_from: address };
    this.#database
      .writeAsHub((trx) => trx.updateTable('api_token').set(use).where('sha256', '=', sha256).execute())
      // A hub that is stopping, or has a full disk, refuses the request itself; its note may be lost.
      .catch(() => this.#writtenAt.delete(sha256));
  }
}
