// The return value of a PKCS#11 function (CK_RV, PKCS#11 2.40 section 5.1), as an error of this package.
import { messageOf } from '@edgekeep/core/message-of';
import { HardwareError, type HardwareErrorCode } from '../error.ts';

/** The token, its session or its objects are gone. */
const lost: ReadonlySet<string> = new Set([
  'CKR_DEVICE_REMOVED',
  'CKR_TOKEN_NOT_PRESENT',
  'CKR_TOKEN_NOT_RECOGNIZED',
  'CKR_SLOT_ID_INVALID',
  'CKR_SESSION_CLOSED',
  'CKR_SESSION_HANDLE_INVALID',
  'CKR_USER_NOT_LOGGED_IN',
  'CKR_KEY_HANDLE_INVALID',
  'CKR_OBJECT_HANDLE_INVALID',
]);

const pinRefused: ReadonlySet<string> = new Set([
  'CKR_PIN_INCORRECT',
  'CKR_PIN_INVALID',
  'CKR_PIN_LEN_RANGE',
  'CKR_PIN_EXPIRED',
  'CKR_PIN_LOCKED',
  'CKR_USER_PIN_NOT_INITIALIZED',
]);

/** The name of the return value inside an error of the binding, `CKR_…`; undefined for any other error. */
export function returnValueOf(error: unknown): string | undefined {
  return error instanceof Error ? /\bCKR_[A-Z0-9_]+/.exec(error.message)?.[0] : undefined;
}

/** Whether it may help to open the token again. */
export function isLost(error: unknown): boolean {
  return lost.has(returnValueOf(error) ?? '');
}

/** Names the operation `doing` and its failure. The message contains the return value and no argument of the call. */
export function hardwareErrorOf(cause: unknown, doing: string): HardwareError {
  if (cause instanceof HardwareError) return cause;
  const value = returnValueOf(cause);
  const code = value === undefined ? 'pkcs11-failed' : codeOf(value);
  return new HardwareError(code, `${doing}: ${value ?? messageOf(cause)}`, {
    cause,
  });
}

function codeOf(value: string): HardwareErrorCode {
  if (lost.has(value)) return 'pkcs11-token-missing';
  return pinRefused.has(value) ? 'pkcs11-pin-refused' : 'pkcs11-failed';
}
