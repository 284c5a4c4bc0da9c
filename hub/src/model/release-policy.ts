// The publisher's release policy of a stored release, from the manifest that the publisher signed (spec/model-manifest.md, "Release policy").
import { sha256Hex } from '@edgekeep/core/digest';
import { parseManifest } from '@edgekeep/core/model/manifest';
import type { ReleasePolicy } from '@edgekeep/core/model/release-policy';
import { LruMap } from 'toad-cache';
import { HubError } from '../common/error.ts';
import type { ModelReleaseRow } from '../store/tables/model.ts';

// A manifest may have 4 MiB: it is read once for each release, not for each key.
const POLICIES_KEPT_MAX = 256;
const known = new LruMap<{ readonly policy: ReleasePolicy | undefined }>(POLICIES_KEPT_MAX);

export function releasePolicyOf({
  name,
  version,
  manifest,
  manifest_digest: digest,
}: Pick<ModelReleaseRow, 'name' | 'version' | 'manifest' | 'manifest_digest'>): ReleasePolicy | undefined {
  const found = known.get(digest);
  if (found !== undefined) return found.policy;
  // Most have none, and are not parsed at all.
  if (!Buffer.from(manifest.buffer, manifest.byteOffset, manifest.byteLength).includes('edgekeep-model-manifest/v2'))
    return undefined;
  if (sha256Hex(manifest) !== digest)
    throw new HubError('store-failed', `the stored manifest of ${name} ${version} is not the one that was published`);
  const { releasePolicy: policy } = parseManifest(manifest);
  known.set(digest, { policy });
  return policy;
}
