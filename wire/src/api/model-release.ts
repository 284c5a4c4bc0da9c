// The messages about releases of models: publish, list and withdraw them, and a device that takes one (spec/api.md). Bytes are unpadded
// base64url, digests lower-case hex; times unix milliseconds.
import { releasePolicySchema } from '@edgekeep/core/model/release-policy';
import { z } from 'zod';
import { base64url, sha256Hex } from './bytes.ts';
import { releaseStateWord } from './words.ts';

export const modelNameSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/);

export const versionSchema = z.string().min(1).max(64);

const modelFile = z.object({ path: z.string(), sealedSize: z.int().min(0), sealedSha256: sha256Hex });

export const modelRequest = z.strictObject({
  /** Canonical JSON of the manifest (spec/model-manifest.md). */
  manifest: base64url(700_000),
  /** The OMS bundle, JSON text. */
  signature: z.string().max(700_000),
  /** 32 bytes; wrapped under the platform key on arrival and never shown again. */
  modelKey: base64url(43),
});

export const modelView = z.object({
  name: z.string(),
  version: z.string(),
  state: releaseStateWord,
  manifestDigest: sha256Hex,
  publisher: z.string(),
  createdAt: z.number(),
  publishedAt: z.number().nullable(),
  files: z.array(modelFile),
  /** The publisher's, from the signed manifest; null where there is none, and from a hub of the version before. */
  releasePolicy: releasePolicySchema.nullable().default(null),
});

export type ModelView = z.infer<typeof modelView>;

/** How much of an incoming file the hub has; 0 for none. */
export const uploadState = z.object({ offset: z.number() });

export const uploadedFile = z.object({ path: z.string(), sealedSize: z.number(), sealedSha256: sha256Hex });

/** The release that devices are offered now, and what devices need that refuse it as a roll-back. */
export const withdrawResponse = modelView.extend({ current: z.string().nullable(), advice: z.string().nullable() });

/** A release that was begun or published; `advice`: which devices will refuse it as a roll-back. A hub of an earlier version gives none. */
export const publicationResponse = modelView.extend({ advice: z.string().nullable().default(null) });

export type PublicationResponse = z.infer<typeof publicationResponse>;

export const modelList = z.object({ models: z.array(modelView) });

/** With this header a device declares that it reads bundles with a second signature (spec/model-signature.md); without it a hub sends the first alone. */
export const modelSignaturesHeader = 'edgekeep-model-signatures';

export const twoModelSignatures = '2';

export const modelResponse = z.object({
  name: z.string(),
  version: z.string(),
  manifestDigest: sha256Hex,
  manifest: z.string(),
  /** The OMS bundle, as JSON text. */
  signature: z.string(),
  files: z.array(modelFile),
});
