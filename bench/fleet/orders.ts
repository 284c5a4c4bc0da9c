// The benchmark's orders to the process that plays the devices, and its answers. One order at a time, over the child's IPC channel.
import type { FailureCounts } from './failures.ts';

export type FleetProcessOrder =
  | { readonly kind: 'connect' | 'bind'; readonly from: number; readonly to: number }
  /** This many devices at once ask for a challenge and answer it with a release, again and again, for a time. */
  | { readonly kind: 'release'; readonly atOnce: number; readonly seconds: number }
  /** The same at a fixed rate, also where the hub is slower: a release counts from the moment it was due. */
  | { readonly kind: 'pace'; readonly perSecond: number; readonly seconds: number }
  /** Quarantines devices one by one while others continue to release. */
  | { readonly kind: 'quarantine'; readonly count: number; readonly url: string; readonly token: string }
  /** Some of the received receipts, base64url. */
  | { readonly kind: 'receipts'; readonly maxReceipts: number };

export interface PhaseResult {
  /** The successful releases. */
  readonly count: number;
  readonly wallMs: number;
  readonly failures: FailureCounts;
}

export interface ReleaseResult extends PhaseResult {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly mostMs: number;
  /** Processor time of the devices' process per release: it shares the machine with the hub. */
  readonly cpuMs: number;
  /** Bytes of HTTP of one release. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}

export interface QuarantineResult {
  /** From sending the order to the closed socket. */
  readonly closedMs: readonly number[];
  /** From sending the order to its answer. */
  readonly answeredMs: readonly number[];
  /** Codes of the answers to devices that reconnected at once, or `bound`. */
  readonly refusals: readonly string[];
  /** Connections of other devices that ended. */
  readonly othersClosed: number;
  /** Releases of the other devices during that time. */
  readonly others: ReleaseResult;
}

export type Answer = PhaseResult | ReleaseResult | QuarantineResult | readonly string[];

export type Reply =
  | { readonly kind: 'done'; readonly answer: Answer }
  | { readonly kind: 'failed'; readonly message: string };
