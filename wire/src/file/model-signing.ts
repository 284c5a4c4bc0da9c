// Signs and verifies a model in place, in one call each: joins the walk and the hashing of model-files.ts with core's decisions. core
// defines what the signature says (spec/model-signature.md).
import { CoreError } from '@edgekeep/core/error';
import {
  compareDigests,
  ignoredWhileVerifying,
  planSigning,
  planVerification,
} from '@edgekeep/core/model/signature/compare';
import type { SignatureRefused } from '@edgekeep/core/model/signature/reason';
import { defaultIgnorePaths } from '@edgekeep/core/model/signature/serialization';
import { signModel } from '@edgekeep/core/model/signature/sign';
import type { ModelStatement } from '@edgekeep/core/model/signature/statement';
import { type ModelSigner, type SignatureTrust, verifyBundle } from '@edgekeep/core/model/signature/verify';
import type { Signer } from '@edgekeep/core/signer';
import { hashModelFiles, listModelFiles } from './model-files.ts';

export interface ModelSigning {
  readonly signer: Signer;
  /** DER certificates, the signer's first; without them the key signs under its own name. */
  readonly chain?: readonly Uint8Array[];
  /** Bytes of a shard; without it files are hashed whole. */
  readonly shardSize?: number;
  /** Left out of the signature, with everything below; relative to the root, with "/". The signature's own file must be here. */
  readonly ignorePaths: readonly string[];
}

/** The OMS bundle over a folder or a file. Throws CoreError `model-path-invalid` for a path that cannot be signed, and system errors. */
export async function signModelFiles(root: string, signing: ModelSigning): Promise<Uint8Array> {
  const ignorePaths = [...new Set([...defaultIgnorePaths, ...signing.ignorePaths])].sort();
  const serialization = { hash: 'sha256', shardSize: signing.shardSize, allowSymlinks: false, ignorePaths } as const;
  const listing = await listModelFiles(root, { followLinks: false, ignorePaths });
  const jobs = planSigning(listing, serialization);
  const digests = await hashModelFiles(root, listing, jobs, false);
  const resources = jobs.map(({ path, range }, index) => {
    const digest = digests[index];
    if (digest === undefined)
      throw new CoreError('model-path-invalid', `${JSON.stringify(path)} changed while it was read`);
    return { path, range, digest };
  });
  return signModel({ name: listing.name, serialization, resources }, signing.signer, signing.chain);
}

export interface ModelVerification {
  readonly bundleBytes: Uint8Array;
  readonly trust: SignatureTrust;
  /** Unsigned files to accept; relative to the root, with "/". */
  readonly ignorePaths: readonly string[];
  readonly ignoreUnsignedFiles: boolean;
}

export type ModelVerdict =
  | { readonly kind: 'verified'; readonly statement: ModelStatement; readonly signer: ModelSigner }
  | SignatureRefused;

/** Whether a trusted signer signed exactly the content of `root`. No file there is read before the signature is verified. */
export async function verifyModelFiles(root: string, verification: ModelVerification): Promise<ModelVerdict> {
  const verdict = verifyBundle(verification.bundleBytes, verification.trust);
  if (verdict.kind === 'refused') return verdict;
  const { statement } = verdict;
  const followLinks = statement.serialization.allowSymlinks;
  const ignorePaths = ignoredWhileVerifying(statement, verification.ignorePaths);
  const listing = await listModelFiles(root, { followLinks, ignorePaths });
  const plan = planVerification(statement, listing, { ...verification, ignorePaths });
  const digests = await hashModelFiles(root, listing, plan.jobs, followLinks);
  const reasons = [...plan.reasons, ...compareDigests(plan.jobs, digests)];
  return reasons.length === 0 ? verdict : { kind: 'refused', reasons };
}
