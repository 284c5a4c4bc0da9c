// The model manifest: the files of one version of one model, their digests, and the guard's settings for them. Its digest names the release
// everywhere: in the signature, the sealed files, the key release and the receipt. spec/model-manifest.md.
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, parseCanonicalJson, parseValue } from '../json.ts';
import { guardSettingsSchema } from './guard-settings.ts';
import { releasePolicySchema } from './release-policy.ts';

/** The path of the manifest in the signed folder; no file of the model may have this name. */
export const manifestPath = 'manifest.json';
/** Room for a thousand files and ten thousand class labels, but small enough for a device. */
export const MANIFEST_LENGTH_MAX = 4 * 1024 * 1024;
const MANIFEST_FILES_MAX = 1000;
/** Longer paths do not survive every file system and archive. */
const MODEL_PATH_LENGTH_MAX = 512;

export const modelNamePattern = /^[a-z0-9][a-z0-9._-]{0,63}$/;
/** Semantic versioning 2.0.0 without build metadata: two releases that differ only there would have equal precedence. */
export const modelVersionPattern =
  /^(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){2}(?:-(?:0|[1-9]\d{0,8}|\d*[a-zA-Z-][0-9a-zA-Z-]{0,31})(?:\.(?:0|[1-9]\d{0,8}|\d*[a-zA-Z-][0-9a-zA-Z-]{0,31})){0,7})?$/;

const fileSchema = z.strictObject({
  path: z.string().refine((path) => modelPathFault(path) === undefined, 'not a plain relative path'),
  role: z.enum(['primary', 'fallback', 'data', 'opaque']),
  mediaType: z
    .string()
    .max(127)
    .regex(/^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/),
  /** Bytes of the plaintext. */
  size: z.int().min(0),
  /** SHA-256 of the plaintext, lower-case hex. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const manifestSchema = z
  .strictObject({
    /** 2 has the publisher's word on who may get the key: an agent of the version before, which would not ask for it, does not read it. */
    type: z.enum(['edgekeep-model-manifest/v1', 'edgekeep-model-manifest/v2']),
    name: z.string().regex(modelNamePattern),
    version: z.string().max(128).regex(modelVersionPattern),
    files: z.array(fileSchema).min(1).max(MANIFEST_FILES_MAX).superRefine(refuseConflicts),
    guard: guardSettingsSchema.optional(),
    releasePolicy: releasePolicySchema.optional(),
  })
  .refine(
    ({ type, releasePolicy }) => (type === 'edgekeep-model-manifest/v2') === (releasePolicy !== undefined),
    'a release policy belongs to version 2 and to no other',
  );

export type ModelManifest = z.infer<typeof manifestSchema>;
export type ModelFile = ModelManifest['files'][number];
export type ModelFileRole = ModelFile['role'];

/** Canonical bytes to a manifest; throws `manifest-invalid`, `json-invalid` or `json-not-canonical`. */
export function parseManifest(bytes: Uint8Array): ModelManifest {
  if (bytes.length > MANIFEST_LENGTH_MAX) {
    throw new CoreError(
      'bytes-too-long',
      `a manifest of ${bytes.length} bytes, at most ${MANIFEST_LENGTH_MAX} are read`,
    );
  }
  return parseCanonicalJson(bytes, manifestSchema, 'the model manifest', 'manifest-invalid');
}

/** The manifest's one encoding; throws `manifest-invalid` for one that no reader would accept. */
export function encodeManifest(manifest: ModelManifest): Uint8Array {
  return encodeCanonicalJson(parseValue(manifest, manifestSchema, 'the model manifest', 'manifest-invalid'));
}

/** SHA-256 of the manifest's bytes: 32 bytes. */
export function manifestDigest(bytes: Uint8Array): Uint8Array {
  return createHash('sha256').update(bytes).digest();
}

/** Throws `model-path-invalid` for a path that could leave the model's folder, or that two systems would read as two names. */
export function assertModelPath(path: string): void {
  const fault = modelPathFault(path);
  if (fault !== undefined) throw new CoreError('model-path-invalid', `${JSON.stringify(path.slice(0, 200))}: ${fault}`);
}

function modelPathFault(path: string): string | undefined {
  if (path === '' || path.length > MODEL_PATH_LENGTH_MAX) return `expected 1 to ${MODEL_PATH_LENGTH_MAX} characters`;
  if (!path.isWellFormed() || path.normalize('NFC') !== path) return 'expected Unicode in normal form C';
  // Control and format characters can hide a name: a right-to-left override makes "exe.nnx" of "xnn.exe".
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\]/u.test(path)) return 'a control character or a backslash';
  if (path.split('/').some((part) => part === '' || part === '.' || part === '..')) {
    return 'expected a relative path without empty, "." or ".." parts';
  }
  return undefined;
}

// All files must be able to exist side by side, and beside the manifest itself.
function refuseConflicts(files: readonly { readonly path: string }[], context: z.RefinementCtx): void {
  const paths = new Set([manifestPath]);
  for (const [index, { path }] of files.entries()) {
    if (paths.has(path)) context.addIssue({ code: 'custom', message: 'a path that is already taken', path: [index] });
    paths.add(path);
  }
  for (const [index, { path }] of files.entries()) {
    const isInsideFile = parentsOf(path).some((parent) => paths.has(parent));
    if (isInsideFile) context.addIssue({ code: 'custom', message: 'a path inside another file', path: [index] });
  }
}

function parentsOf(path: string): readonly string[] {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
}
