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
});
