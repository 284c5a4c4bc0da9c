// A device's report, and what the hub wants of it (spec/api.md, "Device API").
import { FORK_PROOF_BYTES_MAX } from '@edgekeep/core/audit/fork-proof';
import { z } from 'zod';
import { reportedAttributesSchema } from './attributes.ts';
import { guardReport } from './guard-report.ts';
import { REPORTED_MODELS_MAX, modelReport, modelRetry } from './model-report.ts';

const count = z.int().min(0);

const counts = {
  model: z.string().max(64),
  version: z.string().max(64),
  accepted: count,
  fallback: count,
  review: count,
  failed: count,
};

/** As an operator reads them. */
export const modelCounts = z.object(counts);

export const reportRequest = z.strictObject({
  /** Guard counts per model since the guard started; never inputs. */
  counts: z.array(z.strictObject(counts)).max(64).optional(),
  /** A portable proof that this hub's log forked (edgekeep-fork-proof/v1). */
  forkProof: z.string().max(FORK_PROOF_BYTES_MAX).optional(),
  /** The reported attributes, the whole document each time (spec/registry.md). */
  attributes: reportedAttributesSchema.optional(),
  /** The models that it should run, and their state on it. */
  models: z.array(modelReport).max(REPORTED_MODELS_MAX).optional(),
  /** How far its clock is ahead of the hub's, measured at the newest answer. */
  clockSkewSeconds: z.int().min(-1e10).max(1e10).optional(),
  /** Left out by a device that runs no guard. */
  guard: guardReport.optional(),
  /** The version of the desired attributes it has; 0 for none. With it, the answer contains a newer version, if there is one. */
  desiredVersion: z.int().min(0).optional(),
});

export const reportResponse = z.object({
  accepted: z.boolean(),
  desired: z.object({ version: z.int(), attributes: z.record(z.string(), z.unknown()) }).optional(),
  /** Models that operators want the device to try again. */
  retry: z.array(modelRetry).optional(),
});
