// What this process knows of the walls around its guards: asked each time a guard is to be started, said when it changes.
import type { Emit } from '../event.ts';
import type { GuardHost } from '../held-model.ts';

export class GuardWalls {
  readonly #find: () => Promise<GuardHost>;
  readonly #emit: Emit;
  #missing: readonly string[] | undefined;

  constructor(find: () => Promise<GuardHost>, emit: Emit) {
    this.#find = find;
    this.#emit = emit;
  }

  /** The walls that this machine cannot give; undefined until a guard has run here. */
  get missing(): readonly string[] | undefined {
    return this.#missing;
  }

  /** What guards run as; throws what `find` throws, and keeps no failure. */
  readonly host = async (): Promise<GuardHost> => {
    const host = await this.#find();
    const { degraded } = host.sandbox;
    if (degraded.join() !== this.#missing?.join()) this.#emit({ kind: 'guard-walls', missing: degraded });
    this.#missing = degraded;
    return host;
  };
}
