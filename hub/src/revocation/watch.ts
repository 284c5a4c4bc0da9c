// Follows the revocations in the store and cuts the connections that this node holds (spec/revocation.md). Nodes share only the store, so
// each of them learns of an order this way, even if another node took it.
import { performance } from 'node:perf_hooks';
import type { Job } from '../common/subject.ts';
import type { Database } from '../store/database.ts';
import type { DisconnectOrder } from './store.ts';

export class RevocationWatch {
  readonly #database: Pick<Database, 'read'>;
  readonly #cut: (order: DisconnectOrder) => void;
  readonly #onRevoked: () => Promise<void>;
  readonly #everyMs: number;
  #version: number;
  /** When the newest read began, on the machine's monotone clock. */
  #readAtMs: number;
  #reading: Promise<void> | undefined;

  private constructor(
    database: Pick<Database, 'read'>,
    cut: (order: DisconnectOrder) => void,
    onRevoked: () => Promise<void>,
    everyMs: number,
    version: number,
  ) {
    this.#database = database;
    this.#cut = cut;
    this.#onRevoked = onRevoked;
    this.#everyMs = everyMs;
    this.#version = version;
    this.#readAtMs = performance.now();
  }

  /**
   * Starts at the newest version: a node that just started holds no connections. `cut` must not throw. `onRevoked` runs after the cuts of each
   * new version. If it rejects, the version counts as unread, and no request is served until it was read.
   */
  static async start(
    database: Pick<Database, 'read'>,
    cut: (order: DisconnectOrder) => void,
    everyMs: number,
    onRevoked: () => Promise<void> = async () => {},
  ): Promise<RevocationWatch> {
    return new RevocationWatch(database, cut, onRevoked, everyMs, await readVersion(database));
  }

  /** A failed read is not lost: the next request reads again and is refused while that fails. */
  get jobs(): readonly Job[] {
    return [
      {
        name: 'revocation-poll',
        summary: 'reads the revocations of all nodes and closes the affected connections of this node',
        everyMilliseconds: this.#everyMs,
        runsOn: 'every-node',
        run: () => this.#share(),
      },
    ];
  }

  /** Everything up to this version was cut off here. */
  get version(): number {
    return this.#version;
  }

  /** Cuts off everything that was ordered before this call. Rejects when the store cannot be read. */
  async poll(): Promise<void> {
    // A read under way may have begun before the order was durable.
    await this.#reading?.catch(() => undefined);
    await this.#share();
  }

  /** As `poll`, but accepts a read that is less than one interval old; costs nothing then. */
  async fresh(): Promise<void> {
    if (performance.now() - this.#readAtMs >= this.#everyMs) await this.#share();
  }

  async #share(): Promise<void> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  async #read(): Promise<void> {
    const beganMs = performance.now();
    const version = await readVersion(this.#database);
    if (version > this.#version) {
      const rows = await this.#database.read
        .selectFrom('revocation')
        .select(['device_id', 'serial'])
        .where('version', '>', this.#version)
        .where('version', '<=', version)
        .execute();
      for (const { device_id: deviceId, serial } of rows) {
        this.#cut({ deviceId, serial: serial === '' ? undefined : serial });
      }
      await this.#onRevoked();
      this.#version = version;
    }
    this.#readAtMs = beganMs;
  }
}

async function readVersion(database: Pick<Database, 'read'>): Promise<number> {
  const { version } = await database.read.selectFrom('revocation_state').select('version').executeTakeFirstOrThrow();
  return version;
}
