// Failures of the place where sealed files lie: counted, and an alert for operators. A file that is lost has an alert of its own.
import { messageOf } from '@edgekeep/core/message-of';
import { weighAlert } from '../alert/alerts.ts';
import type { Clock } from '../common/clock.ts';
import { HubError, type HubErrorCode } from '../common/error.ts';
import { asHub } from '../store/authority.ts';
import type { Database } from '../store/database.ts';

const codes: readonly HubErrorCode[] = [
  'artifact-lost',
  'artifacts-refused',
  'artifacts-unreachable',
  'artifacts-busy',
];
/** A fleet that downloads meets the same failure many times a second. */
const REPEATED_MS = 60_000;
const subject = { part: 'artifacts' } as const;
/** In place of a file's digest: an object of a probe that was lost says something about the whole bucket. */
const BUCKET = 'bucket';
/** Files with an alert that was written lately. */
const REMEMBERED_MAX = 1_000;

export class ArtifactFaults {
  readonly #database: Pick<Database, 'read' | 'writeAsHub'>;
  readonly #clock: Clock;
  readonly #count: (code: string) => void;
  readonly #written = new Map<string, number>();

  constructor(database: Pick<Database, 'read' | 'writeAsHub'>, clock: Clock, count: (code: string) => void) {
    this.#database = database;
    this.#clock = clock;
    this.#count = count;
  }

  readonly onFault = (error: unknown, sha256?: string): void => {
    if (!(error instanceof HubError) || !codes.includes(error.code)) return;
    this.#count(error.code);
    // Limits of the hub itself.
    if (error.code === 'artifacts-busy') return;
    const name = error.code === 'artifact-lost' && sha256 !== undefined ? sha256 : BUCKET;
    const nowMs = this.#clock();
    if (nowMs - (this.#written.get(name) ?? Number.NEGATIVE_INFINITY) < REPEATED_MS) return;
    if (this.#written.size >= REMEMBERED_MAX) this.#written.clear();
    this.#written.set(name, nowMs);
    void this.#write(error, name, nowMs);
  };

  /** The bucket takes and gives objects again. */
  async settle(): Promise<void> {
    this.#written.delete(BUCKET);
    const about = { kind: 'artifacts-unreachable', subject, nowMs: this.#clock() } as const;
    await weighAlert(this.#database, about, { settled: 'the bucket takes and gives objects again' });
  }

  /** The request that met it is answered either way; where this cannot be written, the next failure tries again. */
  async #write(error: HubError, name: string, nowMs: number): Promise<void> {
    try {
      await asHub(() => this.#raise(error, name, nowMs));
    } catch {
      // Requests are answered as before; the store's own failure shows elsewhere.
      this.#written.delete(name);
    }
  }

  async #raise(error: HubError, name: string, nowMs: number): Promise<void> {
    if (name !== BUCKET) {
      const about = { kind: 'artifact-lost', subject, detail: name, nowMs } as const;
      const title = `a sealed file of a model is lost or was changed: ${messageOf(error)}`;
      await weighAlert(this.#database, about, { severity: 'high', title, data: { sha256: name } });
      return;
    }
    const about = { kind: 'artifacts-unreachable', subject, nowMs } as const;
    const title = `devices get no models: ${messageOf(error)}`;
    await weighAlert(this.#database, about, { severity: 'high', title, data: { code: error.code } });
  }
}
