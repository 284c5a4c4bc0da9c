// The error codes and scopes of `model`.

export const modelErrorCodes = {
  'upload-differs': 409,
  'release-invalid': 422,
} as const;

export const modelScopes = ['models:read', 'models:publish'] as const;
