// The agent's status, on the status socket and for the simulator. Nothing in it is secret. Times are Unix milliseconds.
import type { ResultReason } from '@edgekeep/core/attest/ear';
import type { GuardCounts } from '@edgekeep/core/model/guard-protocol';
import type { ModelRunner } from './model/model-runner.ts';

export type AgentState =
  | 'connecting'
  | 'online'
  | 'offline'
  /** Cut off by the hub; everything is locked until an operator releases the device. */
  | 'quarantined'
  | 'retired'
  /** A stage of the measured start did not verify: no model is run. */
  | 'recovery'
  /** The root of trust does not work, and no attempt heals it: held models are served until their leases end. */
  | 'stopped'
  /** The hub's log was caught with two histories: the agent does not talk to the hub. */
  | 'forked';

export interface ModelStatus {
  readonly name: string;
  readonly state: 'serving' | 'ready' | 'locked';
  /** Why it is not held. */
  readonly why: string;
  readonly version: string | null;
  readonly lease: { readonly id: string; readonly notAfter: number; readonly renewAfter: number } | null;
  readonly socket: string | null;
  readonly loopbackPort: number | null;
  readonly guard: {
    readonly guarded: boolean;
    readonly fallback: boolean;
    /** Walls that this machine could not provide. */
    readonly degraded: readonly string[];
    readonly processId: number | null;
    readonly counts: GuardCounts | null;
  } | null;
}

export interface AgentStatus {
  readonly deviceId: string;
  readonly tier: string;
  readonly state: AgentState;
  readonly connected: boolean;
  readonly why: string;
  /** Why the hub was not reached (docs/errors.md, "Wire"): the code of the last attempt; null while there is a connection. */
  readonly hubFailure: string | null;
  /** The HTTP proxy on the way to the hub, without credentials. */
  readonly proxy: string | null;
  readonly certificateNotAfter: number | null;
  readonly attestation: {
    readonly status: string;
    readonly tier: string;
    readonly at: number;
    readonly reasons: readonly ResultReason[];
    readonly deviceState: string;
  } | null;
  readonly log: { readonly size: number; readonly continues: boolean; readonly forked: boolean };
  readonly models: readonly ModelStatus[];
}

export function modelStatus(runner: ModelRunner): ModelStatus {
  const { name, held, why, socket, loopbackPort } = runner;
  const lease =
    held === undefined
      ? null
      : { id: held.lease.id, notAfter: held.lease.notAfter * 1_000, renewAfter: held.lease.renewAfter * 1_000 };
  const { guard } = held ?? {};
  return {
    name,
    state: held === undefined ? 'locked' : guard === undefined ? 'ready' : 'serving',
    why,
    version: held?.model.version ?? null,
    lease,
    socket: socket ?? null,
    loopbackPort: loopbackPort ?? null,
    guard:
      guard === undefined
        ? null
        : {
            guarded: guard.guarded,
            fallback: guard.fallback,
            degraded: guard.degraded,
            processId: guard.processId ?? null,
            counts: guard.counts ?? null,
          },
  };
}
