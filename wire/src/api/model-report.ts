// What a device reports about each of its models at a check-in, and an operator reads (spec/agent.md, "Failures"): which version it holds,
// and why it does not hold the offered one. Codes and places are closed lists; texts have limits.
import { z } from 'zod';

/** The faults on a device; docs/errors.md, "Models on devices". */
export const modelFaultCodes = [
  'model-refused',
  'model-rollback',
  'model-damaged',
  'model-unsupported',
  'lease-refused',
  'clock-ahead',
  'clock-behind',
  'key-unusable',
  'memory-short',
  'shared-memory-short',
  'shared-memory-missing',
  'descriptors-short',
  'temporary-folder-unusable',
  'disk-full',
  'disk-failed',
  'guard-unavailable',
  'guard-slow',
  'guard-ended',
  'hub-failed',
  'unexpected',
] as const;
export type ModelFaultCode = (typeof modelFaultCodes)[number];

/** The step at which it was found, in their order; `check-in`: before any model. A key was asked for in vain from `key` on. */
export const modelFaultPlaces = ['check-in', 'offer', 'download', 'check', 'release', 'key', 'open', 'guard'] as const;
export type ModelFaultPlace = (typeof modelFaultPlaces)[number];

/** Models of one device. */
export const REPORTED_MODELS_MAX = 32;
export const FAULT_MESSAGE_CHARACTERS_MAX = 300;

const name = z.string().max(64);
const version = z.string().max(128);
const manifestDigest = z.string().regex(/^[0-9a-f]{64}$/, 'expected 64 hex digits in lower case');

const modelFault = z.strictObject({
  /** The release of the fault; null where no readable release was offered. */
  version: version.nullable(),
  manifestDigest: manifestDigest.nullable(),
  code: z.enum(modelFaultCodes),
  place: z.enum(modelFaultPlaces),
  message: z.string().max(FAULT_MESSAGE_CHARACTERS_MAX),
  /** How often in a row. */
  attempts: z.int().min(1).max(1_000_000),
  /** Not tried again until another release is offered, or an operator orders it. */
  final: z.boolean(),
});

export const modelReport = z.strictObject({
  model: name,
  /** `serving` by the guard, `ready` for a program, `locked`: not held. */
  state: z.enum(['serving', 'ready', 'locked']),
  /** The version that is held. */
  version: version.nullable(),
  manifestDigest: manifestDigest.nullable(),
  fault: modelFault.nullable(),
  /** The number of the newest order to try again that it has followed; 0 for none. */
  retried: z.int().min(0),
});
export type ModelReport = z.infer<typeof modelReport>;
export type ReportedFault = z.infer<typeof modelFault>;

/** In the answer to a report: try this model again, although its fault is final. */
export const modelRetry = z.object({ model: name, number: z.int().min(1) });
export type ModelRetry = z.infer<typeof modelRetry>;
