// The messages about devices that sign HMAC tokens (spec/device-token.md).
import { z } from 'zod';
import { deviceIdSchema } from './device.ts';
import { deviceStateWord } from './words.ts';

export const tokenDeviceRequest = z.strictObject({ id: deviceIdSchema });

export const tokenDeviceResponse = z.object({ id: deviceIdSchema, secret: z.string() });

export const tokenRollRequest = z.strictObject({ overlapSeconds: z.int().min(0).max(2_592_000).default(86_400) });

export const tokenRollResponse = tokenDeviceResponse.extend({ olderValidUntil: z.number() });

/** From a device that signs tokens (spec/device-token.md). */
export const tokenReportRequest = z.strictObject({ message: z.string().max(4_096).optional() });

export const tokenReportResponse = z.object({ deviceId: deviceIdSchema, state: deviceStateWord });
