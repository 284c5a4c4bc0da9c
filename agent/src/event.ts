// What the agent reports to its operator: one line per event of the device. No event contains a secret, a nonce or an input.
import { messageOf } from '@edgekeep/core/message-of';
import type { ModelFaultCode, ModelFaultPlace } from '@edgekeep/wire/api/model-report';
import type { Reason } from './hub-api.ts';
import { localFailureOf } from './local-failure.ts';

export type AgentEvent =
  | { readonly kind: 'started'; readonly deviceId: string; readonly tier: string }
  | { readonly kind: 'stage-measured'; readonly stage: string; readonly digest: string; readonly again: boolean }
  | { readonly kind: 'recovery'; readonly why: string }
  /** The way to the hub is through this HTTP proxy; `from` is the settings file or a variable of the environment. */
  | { readonly kind: 'proxy'; readonly proxy: string; readonly from: string }
  /** The environment names a proxy, and the settings do not say that it counts: the hub is reached directly. */
  | { readonly kind: 'proxy-ignored'; readonly variable: string }
  /** The firmware measured, and this machine has no log of it: no hub can accept its evidence. */
  | { readonly kind: 'firmware-log-missing'; readonly why: string }
  /** There is a log, without an event of the firmware. */
  | { readonly kind: 'firmware-log-empty'; readonly why: string }
  /** The TPM's counters began anew since this device used it: the hub refuses it until an operator wipes the device. */
  | { readonly kind: 'tpm-cleared'; readonly why: string }
  /** No further attempt can succeed before a person changes something: the agent asks its hub for nothing more. */
  | { readonly kind: 'stopped'; readonly code: string; readonly why: string }
  /** The system extended these PCRs after the boot, and no log explains them; a hub that quotes them refuses. */
  | { readonly kind: 'extended-later'; readonly pcrs: readonly number[] }
  /** In the PCR of the stages is what something else measured. */
  | { readonly kind: 'stage-pcr-shared'; readonly pcr: number; readonly others: readonly string[] }
  /** From the next boot on, stages are measured into this PCR, as the hub's reference values name it. */
  | { readonly kind: 'stage-pcr-learned'; readonly pcr: number }
  /** A file of the state folder was missing or damaged, and was written again from its second copy. */
  | { readonly kind: 'state-repaired'; readonly file: string }
  /** A file is lost in both copies: the hub is asked for what it remembers of this device, and no model is opened before. */
  | { readonly kind: 'state-lost'; readonly file: string; readonly how: string; readonly why: string }
  /** The hub answered: the size of the log and the number of models from which this device goes on. */
  | {
      readonly kind: 'state-recovered';
      readonly files: readonly string[];
      readonly logSize: number;
      readonly models: number;
    }
  | { readonly kind: 'enrolled' }
  /** A restarted device got a new certificate by its root of trust. */
  | { readonly kind: 'recovered' }
  | { readonly kind: 'certificate-renewed'; readonly notAfter: number }
  /** A new root of the hub that an old one certified; its SHA-256. */
  | { readonly kind: 'root-learned'; readonly sha256: string }
  /** From now on the hub's certificate must be from a CA for servers. */
  | { readonly kind: 'servers-authority-required' }
  /** The hub's list of roots does not follow from what this device knows; the device took nothing. */
  | { readonly kind: 'roots-refused'; readonly reasons: readonly string[] }
  /** A newer list of the hub's keys, signed by a root. */
  | { readonly kind: 'key-list-learned'; readonly number: number }
  /** The hub's key list does not follow from what this device knows; the device took nothing. */
  | { readonly kind: 'key-list-refused'; readonly reasons: readonly string[] }
  /** The known list holds, but it is past its date, Unix milliseconds: nobody knows whether there is a later one. */
  | { readonly kind: 'key-list-too-old'; readonly number: number; readonly since: number }
  /** The known list of a root is past its date, Unix milliseconds: a later one may end the CA of the hub's server. */
  | { readonly kind: 'root-list-too-old'; readonly sha256: string; readonly since: number }
  /** This root is no longer trusted. */
  | { readonly kind: 'root-dropped'; readonly sha256: string }
  /** The hub wraps model keys for this hybrid key as well from now on. */
  | { readonly kind: 'hybrid-key-registered'; readonly sha256: string }
  | { readonly kind: 'connected'; readonly state: string }
  | { readonly kind: 'disconnected'; readonly why: string }
  /** `code` is one of WireError. */
  | { readonly kind: 'hub-unreachable'; readonly code: string; readonly why: string }
  /** No hub issued the certificate that came: somebody between ends TLS, or a captive portal answers in the place of the hub. */
  | { readonly kind: 'tls-intercepted'; readonly code: string; readonly why: string }
  /** The HTTP proxy on the way does not let this device through; `code` is one of `proxy-…` in docs/errors.md. */
  | { readonly kind: 'proxy-failed'; readonly code: string; readonly why: string }
  | { readonly kind: 'attested'; readonly status: string; readonly tier: string; readonly reasons: readonly Reason[] }
  /** The hub refused: `step` is what was asked for. */
  | {
      readonly kind: 'refused';
      readonly step: string;
      readonly code: string;
      readonly message: string;
      readonly reasons: readonly Reason[];
    }
  /** This device cannot use a model; `final`: not tried again until another release is offered, or an operator orders it. */
  | {
      readonly kind: 'model-refused';
      readonly model: string;
      readonly code: ModelFaultCode;
      readonly place: ModelFaultPlace;
      readonly final: boolean;
      readonly why: string;
    }
  /** An operator ordered to try it again. */
  | { readonly kind: 'model-retried'; readonly model: string }
  /** At the beginning, and at each further tenth of the bytes that were missing. */
  | {
      readonly kind: 'downloading';
      readonly model: string;
      readonly version: string;
      readonly done: number;
      readonly bytes: number;
    }
  | { readonly kind: 'downloaded'; readonly model: string; readonly version: string; readonly bytes: number }
  | {
      readonly kind: 'released';
      readonly model: string;
      readonly version: string;
      readonly lease: string;
      readonly notAfter: number;
    }
  | {
      readonly kind: 'lease-renewed';
      readonly model: string;
      readonly version: string;
      readonly lease: string;
      readonly notAfter: number;
    }
  | {
      readonly kind: 'serving';
      readonly model: string;
      readonly version: string;
      readonly guarded: boolean;
      readonly degraded: readonly string[];
    }
  /** An opaque model is open for `edgekeep model run`. */
  | { readonly kind: 'ready'; readonly model: string; readonly version: string }
  /** The walls around the guard that this machine cannot provide. */
  | { readonly kind: 'guard-walls'; readonly missing: readonly string[] }
  | { readonly kind: 'locked'; readonly model: string; readonly why: string }
  | { readonly kind: 'guard-ended'; readonly model: string; readonly why: string }
  | {
      readonly kind: 'workload-certified';
      readonly workload: string;
      readonly spiffeId: string;
      readonly notAfter: number;
    }
  | { readonly kind: 'cosigned'; readonly size: number }
  /** The desired attributes have changed: `GET /desired` has them. */
  | { readonly kind: 'desired-changed'; readonly version: number }
  /** The log could not prove that it extends what this device saw; not cosigned. */
  | { readonly kind: 'log-refused'; readonly reasons: readonly string[] }
  | { readonly kind: 'fork-detected'; readonly proofFile: string }
  | { readonly kind: 'failed'; readonly step: string; readonly code: string; readonly message: string };

export type Emit = (event: AgentEvent) => void;

/** An event with its time, Unix milliseconds. */
export type TimedEvent = AgentEvent & { readonly at: number };

/** A failure as an event: a failure of this machine by the closed list, anything else by its own code if it has one. */
export function failureEvent(step: string, error: unknown): Extract<AgentEvent, { kind: 'failed' }> {
  const local = localFailureOf(error);
  if (local !== undefined) return { kind: 'failed', step, ...local };
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unexpected';
  return { kind: 'failed', step, code, message: messageOf(error) };
}
