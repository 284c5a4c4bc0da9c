// What a TPM's refusal of a command says about the TPM itself (TPM 2.0 Part 2, 6.6): the cause, where the response code has one that a person can
// act on; else `tpm-failed` with the code.
import type { TpmCommand } from '@edgekeep/core/tpm/command';
import { describeResponseCode } from '@edgekeep/core/tpm/response-code';
import { hierarchies } from '@edgekeep/core/tpm/public-area';
import { HardwareError, type HardwareErrorCode } from '../error.ts';

/** TPM_RC_FAILURE. */
export const failureCode = 0x101;

const codes: Readonly<Record<number, HardwareErrorCode>> = {
  0x100: 'tpm-not-started',
  0x14b: 'tpm-nv-full',
  0x921: 'tpm-locked-out',
};
/** Format-one codes without the place: the hierarchy is disabled; the authorization is not the one. */
const hierarchyCode = 0x085;
const authorizationCodes: readonly number[] = [0x08e, 0x0a2];

const words: Partial<Record<HardwareErrorCode, string>> = {
  'tpm-not-started': 'the TPM was not started (TPM_RC_INITIALIZE)',
  'tpm-failure-mode': 'the TPM is in failure mode: it found itself broken (TPM_RC_FAILURE)',
  'tpm-nv-full': 'the TPM has no room for another NV index (TPM_RC_NV_SPACE)',
  'tpm-locked-out':
    'the TPM is locked: too many wrong passwords, and each power cut counts as one (TPM_RC_LOCKOUT); it forgets one after each of its recovery times',
};

interface Found {
  /** One was given for the hierarchy that authorizes the command. */
  readonly hasPassword: boolean;
  /** The TPM answers `failureCode` to every command. */
  readonly isFailing: boolean;
}

export function refusal(
  command: TpmCommand<unknown>,
  responseCode: number,
  { hasPassword, isFailing }: Found,
): HardwareError {
  const said = `${command.name}: ${describeResponseCode(responseCode)}`;
  const code = isFailing ? 'tpm-failure-mode' : codes[responseCode];
  if (code !== undefined) return new HardwareError(code, words[code] ?? said, { responseCode });
  const base = (responseCode & 0x080) === 0 || responseCode >= 0x1000 ? undefined : responseCode & 0x0bf;
  if (base === hierarchyCode)
    return new HardwareError('tpm-hierarchy-disabled', `a hierarchy of the TPM is disabled (${said})`, {
      responseCode,
    });
  const authority = base !== undefined && authorizationCodes.includes(base) ? authorityOf(command) : undefined;
  if (authority === undefined) return new HardwareError('tpm-failed', said, { responseCode });
  const problem = hasPassword ? 'has another password than the one in the file' : 'has a password';
  return new HardwareError(authority.code, `the ${authority.name} of the TPM ${problem}`, { responseCode });
}

function authorityOf({ handles: [first] }: TpmCommand<unknown>) {
  if (first?.handle === hierarchies.endorsement)
    return { code: 'tpm-endorsement-password', name: 'endorsement hierarchy' } as const;
  if (first?.handle === hierarchies.owner) return { code: 'tpm-owner-password', name: 'owner' } as const;
  return undefined;
}
