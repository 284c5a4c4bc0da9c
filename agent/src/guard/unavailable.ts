// The answer to applications while no guard serves a model: why, and whether asking again soon can help. Follows spec/inference.md
// section 2. The text names causes by their codes; the status socket has the details.
import type { ModelFaultCode } from '@edgekeep/wire/api/model-report';

export interface Unavailable {
  readonly why: string;
  /** The device itself works on it: an application may ask again soon. */
  readonly passes: boolean;
}

export const notYet: Unavailable = { why: 'the device has not got a key for it yet', passes: true };
export const lockedNow: Unavailable = { why: 'the device has locked it', passes: true };
export const forProgram: Unavailable = {
  why: 'its files are for a program (`edgekeep model run`), no guard serves it',
  passes: false,
};

/** `code` is one of the hub's. */
export function refusedByHub(code: string): Unavailable {
  const why = code === 'not-found' ? 'the hub has no published release of it' : `the hub refuses it: ${code}`;
  return { why, passes: false };
}

/** A fault that is final is not tried again before another release comes. */
export function refusedHere(code: ModelFaultCode, final: boolean): Unavailable {
  return { why: `this device cannot use it: ${code}`, passes: !final };
}

/** The whole answer on a connection that is closed afterwards. */
export function unavailableAnswer({ why, passes }: Unavailable): string {
  const body = JSON.stringify({ error: `model-unavailable: ${why}` });
  return [
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(passes ? ['Retry-After: 1'] : []),
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
