// Verifies a release without its plaintext: a hub or a device has only the bundle, the manifest and sealed files, and still learns whether
// a trusted publisher signed exactly these files. spec/model-signature.md section "Releases".
import type { KeyObject } from 'node:crypto';
import { toHex } from '../bytes.ts';
import { manifestDigest, manifestPath, type ModelManifest, parseManifest } from './manifest.ts';
import type { PublisherKey } from './signature/publisher-key.ts';
import { type SignatureReason, type SignatureRefused } from './signature/reason.ts';
import type { ModelStatement } from './signature/statement.ts';
import { verifyBundle } from './signature/verify.ts';

export interface ModelReleaseParts {
  readonly bundleBytes: Uint8Array;
  readonly manifestBytes: Uint8Array;
  /** The publishers' public keys: P-256, P-384 or P-521, alone or each with one of ML-DSA-65. */
  readonly trustedKeys: readonly (KeyObject | PublisherKey)[];
}

export type ReleaseVerdict =
  | {
      readonly kind: 'verified';
      readonly manifest: ModelManifest;
      /** SHA-256 of the manifest's bytes: the release's name. */
      readonly manifestDigest: Uint8Array;
      /** SHA-256 of the signing key's PEM text, hex. */
      readonly signerFingerprint: string;
    }
  | SignatureRefused;

/** Throws CoreError for malformed bytes; refuses a signature that does not prove this manifest and exactly its files. */
export function verifyModelRelease({ bundleBytes, manifestBytes, trustedKeys }: ModelReleaseParts): ReleaseVerdict {
  const verdict = verifyBundle(bundleBytes, { kind: 'keys', keys: trustedKeys });
  if (verdict.kind === 'refused') return verdict;

  // The manifest is not interpreted before the signature shows that it is the signed one.
  const { statement, signer } = verdict;
  const digest = manifestDigest(manifestBytes);
  const reasons = manifestReasons(statement, toHex(digest));
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const manifest = parseManifest(manifestBytes);
  const differences = fileReasons(statement, manifest);
  if (differences.length > 0) return { kind: 'refused', reasons: differences };
  return { kind: 'verified', manifest, manifestDigest: digest, signerFingerprint: signer.keyFingerprint };
}

function manifestReasons(statement: ModelStatement, digest: string): readonly SignatureReason[] {
  const { shardSize, hash } = statement.serialization;
  // Shards leave empty files out, and a manifest knows only SHA-256, so a release is signed by whole files.
  if (shardSize !== undefined || hash !== 'sha256') {
    return [{ code: 'unsupported-serialization', message: 'a release is signed by whole files with SHA-256' }];
  }
  const signed = statement.resources.find(({ path }) => path === manifestPath);
  if (signed?.digest === digest) return [];
  const message = `the signature is over manifest ${signed?.digest ?? 'none'}, this one is ${digest}`;
  return [{ code: 'manifest-mismatch', path: manifestPath, message }];
}

function fileReasons(statement: ModelStatement, manifest: ModelManifest): readonly SignatureReason[] {
  const signed = new Map(statement.resources.map(({ path, digest }) => [path, digest]));
  signed.delete(manifestPath);
  const reasons: SignatureReason[] = [];
  for (const { path, sha256 } of manifest.files) {
    const digest = signed.get(path);
    signed.delete(path);
    if (digest === sha256) continue;
    const code = digest === undefined ? 'unsigned-file' : 'digest-mismatch';
    reasons.push({ code, path, message: `${path}: in the manifest as ${sha256}, signed as ${digest ?? 'nothing'}` });
  }
  for (const path of signed.keys()) {
    reasons.push({ code: 'missing-file', path, message: `${JSON.stringify(path)}: signed, but not in the manifest` });
  }
  return reasons;
}
