// The error codes of `publisher`.

export const publisherErrorCodes = {
  'publisher-untrusted': 403,
} as const;
