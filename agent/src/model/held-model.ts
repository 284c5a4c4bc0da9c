// A model that this device holds now: its lease, and either the guard that serves it or the opened files for a program. When it ends, for
// any reason, the guard is stopped and every byte is wiped.
import type { Lease } from '@edgekeep/core/access/lease';
import type { GuardCounts } from '@edgekeep/core/model/guard-protocol';
import type { GuardListener } from '../guard/listener.ts';
import type { GuardHost } from '../guard/host.ts';
import { GuardProcess } from '../guard/process.ts';
import type { KeyGrant } from './lease.ts';
import type { Lifetime } from '../hub/lifetime.ts';
import { guardUnit } from '../guard/unit.ts';
import type { VerifiedModel } from './model.ts';
import type { OpenedModel } from './opened-model.ts';

export class HeldModel {
  readonly model: VerifiedModel;
  /** Undefined for a model that is held for a program. */
  readonly guard: GuardProcess | undefined;
  /** The opened files, while the model is held for a program. */
  readonly opened: OpenedModel | undefined;
  /** Aborted at the end. */
  readonly over: AbortSignal;
  readonly #over = new AbortController();
  #lease: Lease;
  #life: Lifetime;

  /** Starts the guard if the model is for it; takes ownership of `opened`. `host` is called only then. */
  static async take(
    model: VerifiedModel,
    grant: Pick<KeyGrant, 'lease' | 'life'>,
    opened: OpenedModel,
    host: () => Promise<GuardHost>,
    listener: Pick<GuardListener, 'prepare'> | undefined,
  ): Promise<HeldModel> {
    if (model.use === 'program') return new HeldModel(model, grant, undefined, opened);
    try {
      const files = opened.files.map(({ file: { path, role, mediaType, size }, memory }) => {
        // `filesForGuard` never chooses an opaque file.
        return {
          path,
          role: role === 'opaque' ? 'data' : role,
          mediaType,
          size,
          descriptor: memory.descriptor,
        } as const;
      });
      const { name, version, manifest } = model;
      const { unitFolder, ...machine } = await host();
      const unit = unitFolder === undefined ? undefined : guardUnit(unitFolder, name);
      const guard = await GuardProcess.start({
        ...machine,
        unit,
        doors: unit === undefined ? await listener?.prepare() : undefined,
        model: { name, version },
        files,
        settings: manifest.guard,
      });
      return new HeldModel(model, grant, guard, undefined);
    } finally {
      // The guard has its own copy by now, or never will.
      await opened[Symbol.asyncDispose]();
    }
  }

  private constructor(
    model: VerifiedModel,
    { lease, life }: Pick<KeyGrant, 'lease' | 'life'>,
    guard: GuardProcess | undefined,
    opened: OpenedModel | undefined,
  ) {
    this.model = model;
    this.guard = guard;
    this.opened = opened;
    this.over = this.#over.signal;
    this.#lease = lease;
    this.#life = life;
  }

  get lease(): Lease {
    return this.#lease;
  }

  get life(): Lifetime {
    return this.#life;
  }

  get counts(): GuardCounts | undefined {
    return this.guard?.counts;
  }

  renew({ lease, life }: Pick<KeyGrant, 'lease' | 'life'>): void {
    this.#lease = lease;
    this.#life = life;
  }

  /** Ends it after the open requests of applications were answered; for a model that is being replaced. */
  async retire(): Promise<void> {
    await this.guard?.retire();
    await this[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await Promise.all([this.guard?.stop(), this.opened?.[Symbol.asyncDispose]()]);
  }
}
