// The error codes and scopes of `registry`.

export const registryErrorCodes = {
  'device-unknown': 403,
  'device-quarantined': 403,
  'device-retired': 403,
  'device-disabled': 403,
} as const;

export const registryScopes = ['devices:read', 'devices:write'] as const;
