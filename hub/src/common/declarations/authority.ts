// The error codes and settings of `authority`.
import { hostNameSchema, webAddressSchema } from '@edgekeep/wire/api/texts';
import { z } from 'zod';

export const authorityErrorCodes = {
  'renewal-refused': 403,
} as const;

export const authoritySettings = {
  /** DNS names and IP addresses in the hub's own certificate. */
  names: z.array(hostNameSchema).min(1).max(20).prefault(['localhost', '127.0.0.1']),
  /** The public address of `/crl` and `/ocsp`, written into certificates; http, because a status request must not need a certificate. */
  publicUrl: webAddressSchema(['http', 'https'], 300).nullable().prefault(null),
  /** How long before the end of a certificate there is a warning, in days; a sixth of its life where that is shorter. */
  expiryWarningDays: z.int().min(1).max(3_650).default(90),
  authorities: z
    .strictObject({
      /** How long an old root stays trusted after a new one came into use, in days. */
      overlapDays: z.int().min(0).max(3_650).default(90),
      /** How long before the end of a root, an issuing CA or a certificate of the hub an alarm is raised, in days. */
      alarmDays: z.array(z.int().min(1).max(3_650)).max(16).default([180, 90, 30, 14, 7, 1]),
      /** How long before the key list is too old, or a key on it ends without a next one, an alert is raised, in days. */
      keyListAlarmDays: z.int().min(1).max(1_096).default(60),
      /** How often a hub node checks its authorities and certificates, in seconds. */
      checkSeconds: z.int().min(1).max(3_600).default(60),
    })
    .prefault({}),
};
