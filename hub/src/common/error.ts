// The one error class of the hub: a request that it cannot serve, or a failure of its environment. Each subject declares its codes; the list
// is closed.
import { hubErrorCodes } from './declarations.ts';

export type HubErrorCode = keyof typeof hubErrorCodes;

/** Why something was refused, in words that an operator can act on. */
export interface Reason {
  readonly code: string;
  readonly message: string;
}

export class HubError extends Error {
  override readonly name = 'HubError';
  readonly code: HubErrorCode;
  readonly reasons: readonly Reason[];
  /** The signed attestation result behind a refusal, if there is one. */
  readonly attestationResult: string | undefined;
  /** When to try again, if that is known: sent as `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  constructor(
    code: HubErrorCode,
    message: string,
    details: {
      reasons?: readonly Reason[];
      attestationResult?: string;
      retryAfterSeconds?: number;
      cause?: unknown;
    } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.reasons = details.reasons ?? [];
    this.attestationResult = details.attestationResult;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  get status(): number {
    return hubErrorCodes[this.code];
  }
}
