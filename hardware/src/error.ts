// The one error class of the hardware package: a failing device, a refusal by the TPM, a broken state folder. Every code is listed here and
// explained in docs/errors.md.

export const hardwareErrorCodes = [
  // the connection to a TPM
  'tpm-unreachable',
  'tpm-permission',
  'tpm-busy',
  'tpm-timeout',
  'tpm-response-invalid',
  // the state of a TPM
  'tpm-not-started',
  'tpm-failure-mode',
  'tpm-locked-out',
  'tpm-hierarchy-disabled',
  'tpm-endorsement-password',
  'tpm-owner-password',
  'tpm-password-unreadable',
  'tpm-bank-missing',
  'tpm-nv-full',
  'tpm-clock-stopped',
  'lease-counter-taken',
  // answers of a TPM
  'tpm-failed',
  'tpm-policy-refused',
  'tpm-lease-over',
  'tpm-blob-refused',
  'lease-counter-unusable',
  'tpm-key-unexpected',
  // the simulator
  'simulator-missing',
  'simulator-failed',
  // the software root of trust
  'software-state-invalid',
  'software-unsupported',
  // the secure element
  'pkcs11-binding-missing',
  'pkcs11-module-failed',
  'pkcs11-token-missing',
  'pkcs11-token-changed',
  'pkcs11-pin-unreadable',
  'pkcs11-pin-refused',
  'pkcs11-key-unexpected',
  'pkcs11-failed',
  // DICE
  'dice-handoff-invalid',
  // keys
  'wrapped-key-unsupported',
  'wrapped-key-refused',
  // files
  'boot-log-invalid',
] as const;

export type HardwareErrorCode = (typeof hardwareErrorCodes)[number];

/** What a person does about a cause (docs/agent-causes.md); it is the second half of the message. */
const cures: Partial<Record<HardwareErrorCode, string>> = {
  'tpm-permission': 'add the user of the agent to the group of the device, often `tss`, and start it again',
  'tpm-busy': 'use /dev/tpmrm0, which several programs share, or stop the program that has it open',
  'tpm-not-started': 'its firmware or its simulator did not send TPM2_Startup: restart the machine',
  'tpm-failure-mode': 'cut the power of the machine and start it again; if it repeats, replace the TPM',
  'tpm-locked-out': 'wait, or reset it with the lockout password: tpm2_dictionarylockout --clear-lockout',
  'tpm-hierarchy-disabled': 'enable it in the setup of the firmware, then restart the machine',
  'tpm-endorsement-password':
    'write it into a file for the agent alone and name the file in rootOfTrust.endorsementPasswordFile, or remove it: tpm2_changeauth -c e -p PASSWORD',
  'tpm-owner-password':
    'write it into a file for the agent alone and name the file in rootOfTrust.ownerPasswordFile, or let the owner define the lease counter once (spec/tpm.md, 7)',
  'tpm-password-unreadable': 'the password alone on one line, the file of the user of the agent, chmod 600',
  'tpm-bank-missing':
    'turn the SHA-256 bank on in the setup of the firmware, or tpm2_pcrallocate sha256:all, then restart the machine',
  'tpm-nv-full':
    'remove an NV index that nobody needs (tpm2_getcap handles-nv-index, tpm2_nvundefine), then restart the agent',
  'tpm-clock-stopped':
    'restart the machine; if it repeats, update the firmware of the TPM: no lease ends by this clock',
  'lease-counter-taken': 'if nobody needs it, remove it: tpm2_nvundefine 0x0181ec01, then restart the agent',
};

/**
 * They may be over a moment later: the agent tries again. Every other code needs a person, or a restart of the machine.
 */
const healing: ReadonlySet<HardwareErrorCode> = new Set([
  'tpm-unreachable',
  'tpm-permission',
  'tpm-busy',
  'tpm-timeout',
  'tpm-locked-out',
  'tpm-failed',
  'tpm-policy-refused',
  'tpm-lease-over',
  'tpm-blob-refused',
  'tpm-nv-full',
  'tpm-owner-password',
  'lease-counter-taken',
  'lease-counter-unusable',
  'pkcs11-token-missing',
  'pkcs11-failed',
  'wrapped-key-refused',
]);

/** They are about files and settings that were given, and not about the hardware. */
const ofInput: ReadonlySet<HardwareErrorCode> = new Set([
  'tpm-password-unreadable',
  'software-state-invalid',
  'software-unsupported',
  'pkcs11-pin-unreadable',
  'pkcs11-pin-refused',
  'dice-handoff-invalid',
  'wrapped-key-unsupported',
  'wrapped-key-refused',
]);

/** What keeps a TPM from having a lease counter: the hub decides whether it takes evidence without one. */
export const leaseCounterCodes: ReadonlySet<string> = new Set([
  'lease-counter-unusable',
  'lease-counter-taken',
  'tpm-owner-password',
  'tpm-nv-full',
]);

/** `code` is stable and documented in docs/errors.md; `responseCode` is the TPM_RC when a TPM gave one. */
export class HardwareError extends Error {
  override readonly name = 'HardwareError';
  readonly code: HardwareErrorCode;
  readonly responseCode: number | undefined;
  /** The message without what to do. */
  readonly found: string;
  /** What to do; undefined where docs/errors.md has it. */
  readonly cure: string | undefined;

  constructor(code: HardwareErrorCode, found: string, options?: ErrorOptions & { readonly responseCode?: number }) {
    const cure = cures[code];
    super(cure === undefined ? found : `${found}: ${cure}`, options);
    this.code = code;
    this.found = found;
    this.cure = cure;
    this.responseCode = options?.responseCode;
  }

  /** Exit status 6 of every program (docs/errors.md). */
  get ofMachine(): boolean {
    return !ofInput.has(this.code);
  }

  /** Whether another attempt may succeed without a person. */
  get heals(): boolean {
    return healing.has(this.code);
  }
}
