// Why a verb did not get what it asked the hub for. Apart from the client, so that help and errors load without it.
import type { WireErrorCode } from '@edgekeep/wire/error';
import { type ExitCode, exitCodes } from './command.ts';

/** A refusal of the hub: its code, message and reasons. */
export class HubRefusal extends Error {
  override readonly name = 'HubRefusal';
  readonly code: string;
  readonly status: number;
  /** When the hub wants the next request; undefined where it did not say. */
  readonly retryAfterSeconds: number | undefined;

  constructor(status: number, code: string, message: string, retryAfterSeconds?: number) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** A request without an answer, or with one in an unknown form; or another server than the hub is there. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';
  readonly code: UnreachableCode;
  /** Whether the hub may have got the request. */
  readonly wasSent: boolean;

  constructor(message: string, options?: ErrorOptions, code: UnreachableCode = 'unreachable', wasSent = false) {
    super(message, options);
    this.code = code;
    this.wasSent = wasSent;
  }
}

const othersCodes = ['other-server', 'tls-intercepted', 'captive-portal'] as const;
const ownFaultCodes = ['hub-certificate-expired', 'clock-behind', 'hub-name-differs'] as const;
type ProxyCode = Extract<WireErrorCode, `proxy-${string}`>;
export type UnreachableCode = 'unreachable' | ProxyCode | (typeof othersCodes)[number] | (typeof ownFaultCodes)[number];

export function isOfAnother(code: string): code is (typeof othersCodes)[number] {
  return othersCodes.some((each) => each === code);
}

export function isOwnFault(code: string): code is (typeof ownFaultCodes)[number] {
  return ownFaultCodes.some((each) => each === code);
}

export function isOfProxy(code: WireErrorCode): code is ProxyCode {
  return code.startsWith('proxy-');
}

/** Exit code of a refusal: 1 where the hub refused, 3 where the request was invalid. */
export function exitCodeOfRefusal(error: HubRefusal): ExitCode {
  return [202, 401, 403, 409, 422].includes(error.status) ? exitCodes.refused : exitCodes.input;
}
