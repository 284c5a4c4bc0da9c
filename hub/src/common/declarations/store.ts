// The error codes of `store`.

export const storeErrorCodes = {
  'folder-in-use': 500,
  'folder-unusable': 500,
  'store-failed': 500,
  'authority-missing': 500,
} as const;
