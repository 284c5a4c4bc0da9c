// The one error class of the agent: a part of the device does not work. Every code is listed here and explained in docs/errors.md.

export const agentErrorCodes = [
  // the agent's own files
  'settings-invalid',
  'state-invalid',
  'state-lost',
  'state-in-use',
  'stage-refused',
  'measured-start-inconsistent',
  'tpm-differs',
  'stage-pcr-foreign',
  // evidence that the machine lacks
  'firmware-log-missing',
  'firmware-log-unreadable',
  'firmware-log-bank-missing',
  // the hub
  'hub-offline',
  'hub-refused',
  'hub-answer-invalid',
  'endorsement-certificate-missing',
  'endorsement-key-differs',
  // models
  'model-refused',
  'model-rollback',
  'model-damaged',
  'lease-refused',
  'clock-ahead',
  'clock-behind',
  'locked',
  // what this machine lacks for a model
  'memory-short',
  'shared-memory-short',
  'descriptors-short',
  // the local API
  'local-listener',
  // the guard
  'guard-missing',
  'guard-start',
  'guard-failed',
  'guard-ended',
  'guard-listener',
] as const;

export type AgentErrorCode = (typeof agentErrorCodes)[number];

/** The machine is not as this device needs it: exit status 6, and no attempt helps before somebody changes it. */
const ofMachineCodes: ReadonlySet<AgentErrorCode> = new Set([
  'state-in-use',
  'tpm-differs',
  'endorsement-certificate-missing',
  'endorsement-key-differs',
  'firmware-log-missing',
  'firmware-log-unreadable',
  'firmware-log-bank-missing',
]);

/** `code` is stable and documented in docs/errors.md; `message` says what was expected, what came, and what to do next. */
export class AgentError extends Error {
  override readonly name = 'AgentError';
  readonly code: AgentErrorCode;

  constructor(code: AgentErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }

  get ofMachine(): boolean {
    return ofMachineCodes.has(this.code);
  }
}
