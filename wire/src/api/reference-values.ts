// The operator's messages about reference values (spec/reference-values.md).
import { z } from 'zod';
import { base64url } from './bytes.ts';

export const referenceValuesRequest = z.strictObject({
  /** The reference values document (spec/reference-values.md). */
  document: base64url(1_400_000),
  /** An OMS bundle over the one file `reference-values.json`. */
  signature: z.string().max(100_000),
});

export const referenceValuesView = z.object({
  name: z.string(),
  version: z.string(),
  publisher: z.string(),
  publishedAt: z.number(),
  withdrawnAt: z.number().nullable(),
  /** What of the boot it does not cover: a device that matches it is then no more than a warning. */
  notCovered: z.array(z.string()).default([]),
  /** What else it expects in the PCR of the agent's stages: shim's, or another program's. */
  stagePcrShared: z.array(z.string()).default([]),
  /** Whether a device that it is for may match it now. */
  inForce: z.boolean().default(true),
  /** Why it does not count; null while it does. */
  why: z.string().nullable().default(null),
  /** The newer release of its name, and until when this one counts beside it; null where there is none. */
  superseded: z.object({ by: z.string(), until: z.number() }).nullable().default(null),
  /** The releases of its name that it supersedes, when it was published. */
  supersedes: z.array(z.string()).default([]),
  /** No older release of its name counts; null for any. */
  lowestVersion: z.string().nullable().default(null),
  /** Unix milliseconds; null for always. */
  notBefore: z.number().nullable().default(null),
  notAfter: z.number().nullable().default(null),
  /** Which devices it is for, for people; null for all. */
  target: z.string().nullable().default(null),
  /** Devices whose newest boot matches it. */
  devices: z.number().default(0),
});

export const referenceValuesList = z.object({ referenceValues: z.array(referenceValuesView) });

export const referenceValuesWithdrawn = z.object({
  name: z.string(),
  version: z.string(),
  withdrawn: z.boolean(),
  /** Releases that this one had superseded, and that count again. */
  countAgain: z.array(z.string()).default([]),
});
