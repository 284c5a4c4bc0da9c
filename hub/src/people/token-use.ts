// When and from where a token was last used. Written behind the request and at most once a minute for each token, so that it costs a
// request nothing; kept in the store, so that it outlives the hub.
import type { Database } from '../store/database.ts';
import type { Caller } from './api-token.ts';

const writtenEveryMs = 60_000;
// Beyond this the oldest is forgotten here, and written once more at its next use.
const rememberedMost = 10_000;

export class TokenUse {
  readonly #database: Database;
  readonly #writtenAt = new Map<string, number>();

  constructor(database: Database) {
    this.#database = database;
  }

  note({ tokenSha256: sha256 }: Pick<Caller, 'tokenSha256'>, address: string, nowMs: number): void {
    const writtenAt = this.#writtenAt.get(sha256);
    // A clock that was set back does not stop the notes until it has caught up.
    if (writtenAt !== undefined && Math.abs(nowMs - writtenAt) < writtenEveryMs) return;
    this.#writtenAt.delete(sha256);
    this.#writtenAt.set(sha256, nowMs);
    const [oldest] = this.#writtenAt.keys();
    if (this.#writtenAt.size > rememberedMost && oldest !== undefined) this.#writtenAt.delete(oldest);
    const use = { last_used_at: nowMs, last_used_from: address };
    this.#database
      .writeAsHub((trx) => trx.updateTable('api_token').set(use).where('sha256', '=', sha256).execute())
      // A hub that is stopping, or whose disk is full, refuses the request itself; its note is no loss.
      .catch(() => this.#writtenAt.delete(sha256));
  }
}
