// Roll-over of the platform key, spec/platform-secrets.md: a new version, then every older value is wrapped again in the background,
// then the old versions end. The key store is the state, so a killed hub continues where it was.
import { randomBytes } from 'node:crypto';
import type { Kysely } from 'kysely';
import { appendEntry } from '../audit/append.ts';
import type { Clock } from '../common/clock.ts';
import { HubError } from '../common/error.ts';
import type { AddJob, JobHandle } from '../common/subject.ts';
import type { WrappedSecrets } from '../secrets/wrapped-secrets.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { Tables } from '../store/schema.ts';
import type { KeyStore } from '../secrets/key-store.ts';
import { type PlatformKey, platformKeyLength, platformKeyName, platformKeyVersion } from '../secrets/platform-key.ts';

/** How long after a failure the rest is tried again. */
const retryMilliseconds = 600_000;
/** Values in one transaction: other writers wait a few milliseconds. */
const BATCH_MAX = 100;
/** A request that read a row before it was wrapped again may open it for this long. */
const graceMilliseconds = 60_000;

type StoredSecrets = WrappedSecrets<Kysely<Tables>, WriteTransaction>;

export interface RollDependencies {
  readonly database: Database;
  readonly keyStore: KeyStore;
  readonly platformKey: PlatformKey;
  /** Everything that is wrapped under it. */
  readonly secrets: readonly StoredSecrets[];
  readonly clock: Clock;
  readonly addJob: AddJob;
  /** Waits until no node wraps under an older version any more; throws where one still may. */
  readonly assertKeysUsed?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

export class PlatformKeyRoll implements AsyncDisposable {
  readonly #dependencies: RollDependencies;
  readonly #job: JobHandle;
  #grace: NodeJS.Timeout | undefined;
  #unfinished: boolean;

  constructor(dependencies: RollDependencies) {
    this.#dependencies = dependencies;
    this.#unfinished = dependencies.platformKey.older.length > 0;
    this.#job = dependencies.addJob({
      name: 'platform-key-roll-over',
      summary: 'wraps every secret again under the newest platform key',
      everyMilliseconds: retryMilliseconds,
      runsOn: 'one-node',
      run: (signal) => this.#rewrapAll(signal),
    });
  }

  /** Continues a roll-over that an earlier process did not finish. */
  resume(): void {
    if (this.#unfinished) this.#job.soon();
  }

  /** Takes over the versions that another node has made, and gives up those that it removed. */
  async follow(): Promise<void> {
    const { keyStore, platformKey } = this.#dependencies;
    const present = (await keyStore.names())
      .flatMap((name) => platformKeyVersion(name) ?? [])
      .toSorted((a, b) => a - b);
    for (const version of present.filter((each) => each > platformKey.newest)) {
      const key = await keyStore.read(platformKeyName(version));
      if (key !== undefined) platformKey.add(version, key);
    }
    const gone = platformKey.older.filter((version) => !present.includes(version));
    if (gone.length > 0) this.#forgetLater(gone);
    this.#unfinished = platformKey.older.length > gone.length;
    // The node that leads may be this one.
    this.resume();
  }

  /** Makes a new version and begins; resolves when new values are wrapped under it. Throws `conflict` while a roll-over is under way. */
  async start(actor: string): Promise<number> {
    const { database, keyStore, platformKey, clock } = this.#dependencies;
    if (this.#unfinished)
      throw new HubError('conflict', 'a roll-over of the platform key is running: wait until it has ended');
    this.#unfinished = true;
    try {
      const version = platformKey.newest + 1;
      const subject = `platform-key:${version}`;
      // First of all, because this transaction checks the caller's authority.
      await database.write((trx) =>
        appendEntry(trx, { at: clock(), kind: 'platform-key-roll-started', actor, subject, data: {} }),
      );
      const key = randomBytes(platformKeyLength);
      await keyStore.add(platformKeyName(version), key);
      platformKey.add(version, key);
      return version;
    } finally {
      this.#unfinished = platformKey.older.length > 0;
      this.resume();
    }
  }

  /** The version in use and the number of values that are still wrapped under older ones. */
  async status(): Promise<{ readonly version: number; readonly valuesLeft: number; readonly finished: boolean }> {
    const { database, platformKey, secrets } = this.#dependencies;
    const { newest } = platformKey;
    return {
      version: newest,
      valuesLeft: await countOlder(database.read, secrets, newest),
      finished: !this.#unfinished,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#grace);
  }

  // A failure (a full disk, a damaged value) leaves both versions: the status shows it, and the next run tries again.
  async #rewrapAll(signal: AbortSignal): Promise<void> {
    if (!this.#unfinished) return;
    const { database, platformKey, secrets } = this.#dependencies;
    // Before the first value: then none is wrapped under an older version behind this.
    await this.#dependencies.assertKeysUsed?.(signal);
    let values = 0;
    for (const each of secrets) {
      for (let done = BATCH_MAX; done === BATCH_MAX;) {
        if (signal.aborted) return;
        done = await database.writeAsHub((trx) => each.rewrapOlder(trx, platformKey, BATCH_MAX));
        values += done;
      }
    }
    if (!signal.aborted) await this.#end(values);
  }

  async #end(values: number): Promise<void> {
    const { database, keyStore, platformKey, secrets, clock } = this.#dependencies;
    const { newest } = platformKey;
    await database.writeAsHub(async (trx) => {
      // Every value under an older version was written by an earlier transaction than this one.
      const left = await countOlder(trx, secrets, newest);
      if (left > 0) throw new HubError('store-failed', `${left} values are still wrapped under older versions`);
      const subject = `platform-key:${newest}`;
      await appendEntry(trx, { at: clock(), kind: 'platform-key-rolled', actor: 'hub', subject, data: { values } });
    });
    const { older } = platformKey;
    for (const version of older) await keyStore.remove(platformKeyName(version));
    this.#forgetLater(older);
    this.#unfinished = false;
  }

  #forgetLater(versions: readonly number[]): void {
    clearTimeout(this.#grace);
    this.#grace = setTimeout(() => {
      for (const version of versions) this.#dependencies.platformKey.forget(version);
    }, graceMilliseconds).unref();
  }
}

async function countOlder(db: Kysely<Tables>, secrets: readonly StoredSecrets[], newest: number): Promise<number> {
  let count = 0;
  for (const each of secrets) count += await each.countOlder(db, newest);
  return count;
}
