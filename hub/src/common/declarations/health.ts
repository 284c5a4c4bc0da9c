// The scopes of `health`.

export const healthScopes = ['metrics:read'] as const;
