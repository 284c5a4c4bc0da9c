// The operator's messages about models on devices and the groups that a model is for (spec/api.md, "Models on devices"). Times are unix
// milliseconds.
import { z } from 'zod';
import { groupNameSchema } from './registry.ts';
import { modelFaultCodes, modelFaultPlaces } from './model-report.ts';
import { wordOf } from './words.ts';

/** A model on a device, from the device's last report. */
export const deviceModelView = z.object({
  model: z.string(),
  /** `serving`, `ready` for a program, or `locked`. */
  state: wordOf(['serving', 'ready', 'locked']),
  /** The release that it holds. */
  version: z.string().nullable(),
  manifestDigest: z.string().nullable(),
  /** The fault and its release; null while there is none. */
  fault: z
    .object({
      version: z.string().nullable(),
      code: wordOf(modelFaultCodes),
      place: wordOf(modelFaultPlaces),
      message: z.string(),
      attempts: z.number(),
      /** Not tried again until another release is offered, or an operator orders it. */
      final: z.boolean(),
      since: z.number(),
    })
    .nullable(),
  /** An order to try again that the device has not followed yet. */
  retryOrdered: z.boolean(),
});
export type DeviceModelView = z.infer<typeof deviceModelView>;

export const modelDevicesQuery = z.strictObject({
  version: z.string().min(1).max(128).optional(),
  after: z.string().max(64).default(''),
  limit: z.coerce.number().int().min(1).max(1_000).default(100),
});
export const modelDevices = z.object({
  devices: z.array(deviceModelView.extend({ deviceId: z.string() })),
  next: z.string().nullable(),
});

export const retryRequest = z.strictObject({ model: z.string().min(1).max(64) });
export const retryResponse = z.object({ deviceId: z.string(), model: z.string(), number: z.number() });

/** Groups of one order. */
const ASSIGNED_GROUPS_MAX = 100;
export const assignRequest = z
  .strictObject({
    add: z.array(groupNameSchema).max(ASSIGNED_GROUPS_MAX).default([]),
    remove: z.array(groupNameSchema).max(ASSIGNED_GROUPS_MAX).default([]),
  })
  .refine(({ add, remove }) => add.length + remove.length > 0, 'nothing to add or to remove');

/** Devices that the publisher's release policy refuses, and why; `first` of them by name. */
export const publisherRefusals = z.object({
  /** Devices that were looked at. */
  devices: z.number(),
  refused: z.number(),
  first: z.array(z.string()),
  reasons: z.array(z.object({ code: z.string(), message: z.string(), devices: z.number() })),
});
export type PublisherRefusals = z.infer<typeof publisherRefusals>;

export const assignedGroups = z.object({
  model: z.string(),
  groups: z.array(z.string()),
  /** Groups whose devices get no key by the release policy of the current release, or not all of them. */
  unmet: z.array(publisherRefusals.extend({ group: z.string() })).default([]),
});
