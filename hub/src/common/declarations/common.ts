// The error codes that several subjects answer with.

export const commonErrorCodes = {
  'request-invalid': 400,
  'not-found': 404,
  conflict: 409,
  'payload-too-large': 413,
  'rate-limited': 429,
  'settings-invalid': 500,
  'hub-stopping': 503,
} as const;
