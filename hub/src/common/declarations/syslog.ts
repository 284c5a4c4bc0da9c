// The settings of `syslog`.
import { alertKinds, alertSeverities } from '@edgekeep/wire/api/alert';
import { hostSchema } from '@edgekeep/wire/api/texts';
import { z } from 'zod';

const file = z.string().startsWith('/', 'expected an absolute path').max(4_096).nullable().default(null);

const server = z
  .strictObject({
    /** Of its cursor: it never changes. */
    name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/),
    host: hostSchema,
    port: z.int().min(1).max(65_535).default(6_514),
    /** PEM of the certificates that are trusted for it; null: the public ones. */
    caFile: file,
    /** PEM of the hub's certificate for it and of its key, where the server asks for one. */
    certificateFile: file,
    keyFile: file,
    minSeverity: z.enum(alertSeverities).default('low'),
    kinds: z.array(z.enum(alertKinds)).max(64).default([]),
    /** RFC 5424 section 6.2.1. */
    facility: z.int().min(0).max(23).default(16),
  })
  .refine(({ certificateFile, keyFile }) => (certificateFile === null) === (keyFile === null), {
    message: 'expected both certificateFile and keyFile, or neither',
  });

export const syslogSettings = {
  syslog: z
    .strictObject({
      /** Your organization's private enterprise number (IANA), for structured data. Null: registered elements alone. */
      enterpriseNumber: z.int().min(1).max(4_294_967_295).nullable().default(null),
      /** Where alerts are sent as syslog messages over TLS. */
      servers: z
        .array(server)
        .max(8)
        .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'expected each name once')
        .prefault([]),
    })
    .prefault({}),
};
