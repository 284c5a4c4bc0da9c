// What this process knows about its guards, for the status, the hub and local programs: the walls around them, and how often one had to be
// killed.
import type { GuardReport } from '@edgekeep/wire/api/guard-report';
import type { Emit } from '../event.ts';
import type { GuardHost } from './host.ts';
import type { GuardEndReason } from './process.ts';
import type { Sandbox } from './sandbox.ts';

export class GuardWalls {
  readonly #find: () => Promise<GuardHost>;
  readonly #emit: Emit;
  readonly #ended: Record<GuardEndReason, number> = { 'inference-timeout': 0, 'protocol-violation': 0, crashed: 0 };
  #sandbox: Sandbox | undefined;

  constructor(find: () => Promise<GuardHost>, emit: Emit) {
    this.#find = find;
    this.#emit = emit;
  }

  /** The walls that this machine cannot provide; undefined until a guard has run here. */
  get missing(): readonly string[] | undefined {
    return this.#sandbox?.degraded;
  }

  /** Undefined until a guard has run here. */
  get report(): GuardReport | undefined {
    if (this.#sandbox === undefined) return undefined;
    return {
      walls: [...this.#sandbox.parts],
      missing: [...this.#sandbox.degraded],
      inferenceTimeouts: this.#ended['inference-timeout'],
      protocolViolations: this.#ended['protocol-violation'],
      crashes: this.#ended.crashed,
    };
  }

  /** How guards run; throws what `find` throws, and keeps no failure. */
  readonly host = async (): Promise<GuardHost> => {
    const host = await this.#find();
    const { degraded } = host.sandbox;
    if (degraded.join() !== this.#sandbox?.degraded.join()) this.#emit({ kind: 'guard-walls', missing: degraded });
    this.#sandbox = host.sandbox;
    return { ...host, onEnd: (reason) => (this.#ended[reason] += 1) };
  };
}
