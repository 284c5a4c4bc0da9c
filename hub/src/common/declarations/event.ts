// The scopes and settings of `event`.
import { z } from 'zod';

export const eventScopes = ['events:write'] as const;

export const eventSettings = {
  events: z
    .strictObject({
      /** How often consumers look for new entries of the audit log, in milliseconds. */
      pollMilliseconds: z.int().min(10).max(60_000).default(1_000),
      /** How old the oldest entry that a consumer has not handled may be without an alert, in seconds. */
      maxLagSeconds: z.int().min(1).max(31_536_000).default(300),
      /** How long a client of a stream may take nothing before it is cut, in seconds. */
      maxStalledSeconds: z.int().min(1).max(3_600).default(60),
    })
    .prefault({}),
};
