// The error codes and settings of `store`.
import { z } from 'zod';
import { parseStoreUrl } from '@edgekeep/core/canonical/store-url';

export const storeErrorCodes = {
  'folder-in-use': 500,
  'folder-unusable': 500,
  'name-reserved': 409,
  'store-failed': 500,
  'store-moved': 500,
  'move-refused': 500,
  'store-unfit': 500,
  'store-in-use': 500,
  'store-newer': 500,
  'node-ended': 503,
  'store-unavailable': 503,
  'outcome-unknown': 500,
  'authority-missing': 500,
  'entry-missing': 500,
  'clock-behind': 503,
  'not-leading': 503,
} as const;

const storeUrl = z
  .string()
  .max(2_000)
  .superRefine((text, context) => {
    const parsed = parseStoreUrl(text);
    if (parsed.kind === 'refused') context.addIssue({ code: 'custom', message: parsed.why });
  });

export const storeSettings = {
  store: z
    .strictObject({
      /** `sqlite`, in the data folder; or a database of PostgreSQL: `postgres://USER@HOST:5432/DATABASE`, without a password. */
      url: storeUrl.default('sqlite'),
      /** A file with the password of that user, which only the hub's user can read. */
      passwordFile: z.string().min(1).max(4_096).nullable().default(null),
      /** A file with the CAs that certify the server, PEM; null: those of the public web. */
      caFile: z.string().min(1).max(4_096).nullable().default(null),
    })
    .prefault({}),
  hubClock: z
    .strictObject({
      /** How far the machine's clock may be behind the latest time that the hub has seen, in seconds. */
      maxBehindSeconds: z.int().min(1).max(86_400).default(60),
    })
    .prefault({}),
};
