// The error codes of `respond`.

export const respondErrorCodes = {
  'identity-in-use': 409,
} as const;
