// For tests: a publisher that the hub trusts, and what it signs.
import { toHex, utf8 } from '@edgekeep/core/bytes';
import { createHash } from 'node:crypto';
import { fixedKey } from '@edgekeep/core/attest/testing';
import { encodePublicKeyPem } from '@edgekeep/core/identity/public-key';
import type { ReleasePolicy } from '@edgekeep/core/model/release-policy';
import { encodeManifest, manifestPath } from '@edgekeep/core/model/manifest';
import { signModel } from '@edgekeep/core/model/signature/sign';
import { type Signer, signerFromKey } from '@edgekeep/core/signer';
import type { Database } from '../store/database.ts';
import { trustPublisher } from './publishers.ts';

export const testPublisher = signerFromKey(fixedKey(4_000_000));
const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: false, ignorePaths: [] } as const;

export async function trustTestPublisher(database: Database): Promise<string> {
  const publicKey = encodePublicKeyPem(testPublisher.publicKey);
  const { fingerprint } = await trustPublisher(database, {
    name: 'works',
    publicKey,
    actor: 'person:ada/desk',
    nowMs: 1,
  });
  return fingerprint;
}

/** The bundle over one document, as text. */
export async function signDocument(document: Uint8Array, signer: Signer = testPublisher): Promise<string> {
  const resources = [{ path: '.', digest: sha256(document), range: undefined }];
  return text(await signModel({ name: 'document', serialization, resources }, signer));
}

export interface TestRelease {
  readonly manifest: Uint8Array;
  readonly signature: string;
}

/** A release with one file. */
export async function signRelease(
  {
    releasePolicy,
    ...id
  }: { readonly name: string; readonly version: string; readonly releasePolicy?: ReleasePolicy | undefined },
  signer: Signer = testPublisher,
): Promise<TestRelease> {
  const content = utf8('weights');
  const file = {
    path: 'weights.bin',
    role: 'primary',
    mediaType: 'application/octet-stream',
    size: content.length,
    sha256: sha256(content),
  } as const;
  const manifest = encodeManifest(
    releasePolicy === undefined
      ? { type: 'edgekeep-model-manifest/v1', ...id, files: [file] }
      : { type: 'edgekeep-model-manifest/v2', ...id, files: [file], releasePolicy },
  );
  const resources = [
    { path: manifestPath, digest: sha256(manifest), range: undefined },
    { path: file.path, digest: file.sha256, range: undefined },
  ];
  return { manifest, signature: text(await signModel({ name: id.name, serialization, resources }, signer)) };
}

const sha256 = (bytes: Uint8Array): string => toHex(createHash('sha256').update(bytes).digest());
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');
