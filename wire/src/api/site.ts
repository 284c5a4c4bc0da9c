// The operator's messages about sites (spec/site.md): the location of devices, their time zone and networks.
import { z } from 'zod';
import { deviceIdSchema } from './device.ts';
import { networkSchema } from './texts.ts';

/** A factory has dozens of networks, not hundreds. */
const SITE_NETWORKS_MAX = 64;
/** One request; longer lists take several. */
const SITE_DEVICES_MAX = 1_000;

/** Levels of the Purdue model (ISA-95, IEC 62264); 3.5 is the zone between plant and office. */
const purdueLevels = ['0', '1', '2', '3', '3.5', '4', '5'] as const;

export const siteNameSchema = z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/);
export const countrySchema = z.string().refine(isCountry, 'not a country of ISO 3166-1: two capitals, AT');
const timeZoneSchema = z.string().refine(isTimeZone, 'not a time zone of the IANA database: Europe/Vienna');

const position = z.strictObject({
  /** Degrees, WGS 84. */
  latitude: z.number().min(-90).max(90),
  longitude: z.number().min(-180).max(180),
  /** Metres around it that belong to the site. */
  radius: z.number().int().min(1).max(1_000_000),
});

const siteFields = {
  description: z.string().max(500).default(''),
  timeZone: timeZoneSchema.default('UTC'),
  networks: z
    .array(networkSchema)
    .max(SITE_NETWORKS_MAX)
    .transform((networks) => [...new Set(networks)])
    .prefault([]),
  country: countrySchema.nullable().default(null),
  position: position.nullable().default(null),
  zone: z.enum(purdueLevels).nullable().default(null),
};

export const siteRequest = z.strictObject({ name: siteNameSchema, ...siteFields });
export const siteChange = z.strictObject(siteFields);
export const siteView = z.object({
  name: z.string(),
  description: z.string(),
  timeZone: z.string(),
  networks: z.array(z.string()),
  country: z.string().nullable(),
  position: z.object({ latitude: z.number(), longitude: z.number(), radius: z.number() }).nullable(),
  zone: z.string().nullable(),
  createdAt: z.number(),
});
export type SiteView = z.infer<typeof siteView>;
export const siteList = z.object({ sites: z.array(siteView) });
export const siteDetail = siteView.extend({ devices: z.number() });
export const siteDeleted = z.object({ name: z.string(), deleted: z.boolean(), unassigned: z.number() });

const devices = z.array(deviceIdSchema).max(SITE_DEVICES_MAX).default([]);
export const siteDevicesRequest = z
  .strictObject({ add: devices, remove: devices })
  .refine(({ add, remove }) => add.length + remove.length > 0, 'no device to add or to remove');
export const siteDevicesResponse = z.object({ name: z.string(), added: z.number(), removed: z.number() });

function isCountry(text: string): boolean {
  return (
    /^[A-Z]{2}$/.test(text) && new Intl.DisplayNames('en', { type: 'region', fallback: 'none' }).of(text) !== undefined
  );
}

// Intl takes offsets as well, which know nothing of summer time.
function isTimeZone(text: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]{0,30}(?:\/[A-Za-z0-9_+-]{1,30}){0,2}$/.test(text)) return false;
  try {
    return new Intl.DateTimeFormat('en', { timeZone: text }).resolvedOptions().timeZone !== '';
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return false;
  }
}
