// The error codes of `store`.

export const storeErrorCodes = {
  'folder-in-use': 500,
  'folder-unusable': 500,
  'name-reserved': 409,
  'store-failed': 500,
  'authority-missing': 500,
} as const;
