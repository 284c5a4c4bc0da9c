// The one error class of the hub: a request that it cannot serve, or a failure of its environment. Every code is listed here and in
// docs/errors.md; the HTTP status of each is part of the contract (spec/api.md).

export const hubErrorCodes = {
  'request-invalid': 400,
  'token-required': 401,
  'token-refused': 401,
  'certificate-required': 401,
  'connection-unbound': 401,
  'scope-missing': 403,
  'approval-refused': 403,
  'device-unknown': 403,
  'device-quarantined': 403,
  'device-retired': 403,
  'device-disabled': 403,
  'certificate-revoked': 403,
  'enrollment-refused': 403,
  'bind-refused': 403,
  'attestation-refused': 403,
  'release-refused': 403,
  'access-refused': 403,
  'renewal-refused': 403,
  'publisher-untrusted': 403,
  'workload-refused': 403,
  'not-found': 404,
  conflict: 409,
  'upload-differs': 409,
  'identity-in-use': 409,
  'challenge-missing': 409,
  'ima-log-start-unknown': 409,
  'witness-behind': 409,
  'payload-too-large': 413,
  'media-type-unsupported': 415,
  'range-invalid': 416,
  'release-invalid': 422,
  'reference-values-refused': 422,
  'vendor-root-refused': 422,
  'policy-refused': 422,
  'cosignature-refused': 422,
  'rate-limited': 429,
  'settings-invalid': 500,
  'folder-in-use': 500,
  'folder-unusable': 500,
  'port-unusable': 500,
  'keys-locked': 500,
  'unlock-refused': 500,
  'sealed-keys-invalid': 500,
  'backup-refused': 500,
  'vendor-roots-unreadable': 500,
  'store-failed': 500,
  'log-rewritten': 500,
  'authority-missing': 500,
  'hub-stopping': 503,
} as const;

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
