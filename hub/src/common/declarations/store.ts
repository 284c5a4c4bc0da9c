// The error codes and settings of `store`.
import { z } from 'zod';

export const storeErrorCodes = {
  'folder-in-use': 500,
  'folder-unusable': 500,
  'name-reserved': 409,
  'store-failed': 500,
  'store-unfit': 500,
  'outcome-unknown': 500,
  'authority-missing': 500,
  'entry-missing': 500,
  'clock-behind': 503,
} as const;

export const storeSettings = {
  hubClock: z
    .strictObject({
      /** How far the machine's clock may be behind the latest time that the hub has seen, in seconds. */
      maxBehindSeconds: z.int().min(1).max(86_400).default(60),
    })
    .prefault({}),
};
