// The error codes and settings of `node`.
import { z } from 'zod';

export const nodeErrorCodes = {
  'node-unknown': 500,
  'node-in-use': 500,
  'keys-put-back': 500,
  'join-refused': 403,
} as const;

export const nodeSettings = {
  nodes: z
    .strictObject({
      /** A node that was not seen for this long raises an alert. */
      silentSeconds: z.int().min(15).max(86_400).default(60),
    })
    .prefault({}),
};
