// The meaning of a TPM's response code (TPM 2.0 Part 2, 6.6 TPM_RC), as far as an operator or this product can act on it.

/** The TPM asks to send the same command again. */
export const retryCodes: ReadonlySet<number> = new Set([0x908, 0x90a, 0x922]);

/** Format-one errors, without the bits that name the handle, parameter or session. */
const formatOneCodes = {
  attributes: 0x082,
  value: 0x084,
  handle: 0x08b,
  authFail: 0x08e,
  nonce: 0x08f,
  size: 0x095,
  scheme: 0x092,
  symmetric: 0x096,
  tag: 0x097,
  policyFail: 0x09d,
  integrity: 0x09f,
  ticket: 0x0a0,
  badAuth: 0x0a2,
  expired: 0x0a3,
  binding: 0x0a5,
  signature: 0x09b,
} as const;

const warnings: Readonly<Record<number, string>> = {
  0x101: 'TPM_RC_FAILURE: the TPM is in failure mode until it is reset',
  0x100: 'TPM_RC_INITIALIZE: the TPM was not started',
  0x120: 'TPM_RC_DISABLED',
  0x12f: 'TPM_RC_AUTH_UNAVAILABLE: the object does not open with a password',
  0x121: 'TPM_RC_EXCLUSIVE',
  0x126: 'TPM_RC_POLICY: a policy comparison failed',
  0x128: 'TPM_RC_PCR_CHANGED: a PCR changed during the policy session',
  0x902: 'TPM_RC_OBJECT_MEMORY: no room for another loaded object',
  0x903: 'TPM_RC_SESSION_MEMORY: no room for another session',
  0x908: 'TPM_RC_YIELDED',
  0x90a: 'TPM_RC_TESTING',
  0x921:
    'TPM_RC_LOCKOUT: too many failed authorizations, and each power cut counts as one; the TPM forgets one after each of its recovery times: wait',
  0x922: 'TPM_RC_RETRY',
  0x143: 'TPM_RC_COMMAND_CODE: the TPM does not have this command',
  0x14a: 'TPM_RC_NV_RANGE',
  0x149: 'TPM_RC_NV_UNINITIALIZED',
  0x14c: 'TPM_RC_NV_DEFINED',
};

/** The error number of a format-one code (its low bits), or undefined for any other code. */
function formatOneOf(responseCode: number): number | undefined {
  return (responseCode & 0x080) !== 0 && responseCode < 0x1000 ? responseCode & 0x0bf : undefined;
}

/** For example `0x99d (POLICY_FAIL, session 1)`. */
export function describeResponseCode(responseCode: number): string {
  const hex = `0x${responseCode.toString(16)}`;
  const base = formatOneOf(responseCode);
  if (base === undefined) {
    const text = warnings[responseCode];
    return text === undefined ? hex : `${hex} (${text})`;
  }
  const name = Object.entries(formatOneCodes).find(([, code]) => code === base)?.[0];
  const number = (responseCode >> 8) & 0xf;
  const place =
    (responseCode & 0x40) !== 0 ? `parameter ${number}` : number >= 8 ? `session ${number - 8}` : `handle ${number}`;
  return `${hex} (${name ?? 'error'}, ${place})`;
}
