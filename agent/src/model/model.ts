// Which release of a model to run: the hub's offer, verified against the publishers that this device itself trusts. The hub can withhold a
// release; it cannot make one, change one, or bring an old one back.
import type { KeyObject } from 'node:crypto';
import { parseBase64url, toHex, utf8 } from '@edgekeep/core/bytes';
import type { ModelFile, ModelManifest } from '@edgekeep/core/model/manifest';
import { filesForGuard, modelFileOf } from '@edgekeep/core/model/guard-files';
import type { PublisherKey } from '@edgekeep/core/model/signature/publisher-key';
import { verifyModelRelease } from '@edgekeep/core/model/release';
import { modelResponse, modelSignaturesHeader, twoModelSignatures } from '@edgekeep/wire/api/model-release';
import type { z } from 'zod';
import { AgentError } from '../error.ts';
import { type Answer, getFromHub, type Send } from '../hub-api.ts';
import type { ModelSettings } from '../settings.ts';

/** A file of the release as the hub keeps it: ciphertext of the plaintext that the manifest describes. */
export interface SealedModelFile extends ModelFile {
  readonly sealedSize: number;
  /** Of the ciphertext, hex; claimed by the hub, and good for detecting a broken download. */
  readonly sealedSha256: string;
}

export interface VerifiedModel {
  readonly name: string;
  readonly version: string;
  readonly manifest: ModelManifest;
  readonly manifestBytes: Uint8Array;
  /** The OMS bundle. */
  readonly signature: Uint8Array;
  /** SHA-256, 32 bytes, and the same in hex. */
  readonly manifestDigest: Uint8Array;
  readonly digestHex: string;
  readonly use: 'guard' | 'program';
  /** The files that must be downloaded and opened for this use. */
  readonly files: readonly SealedModelFile[];
}

/** A sealed file is a little longer than its plaintext; a hub that claims more would fill the disk. */
const maxSealedSize = (size: number) => 2 * size + 1024 * 1024;

/** The current release of a model, or the hub's refusal. Throws `model-refused` for one that is not the publisher's. */
export async function currentModel(
  send: Send,
  settings: Pick<ModelSettings, 'name' | 'use'>,
  publisherKeys: readonly (KeyObject | PublisherKey)[],
): Promise<Answer<VerifiedModel>> {
  const offered = await getFromHub(send, `/v1/models/${settings.name}`, modelResponse, {
    [modelSignaturesHeader]: twoModelSignatures,
  });
  if (offered.kind === 'refused') return offered;
  return { kind: 'ok', value: verifiedModel(offered.value, settings, publisherKeys) };
}

export function verifiedModel(
  offered: z.infer<typeof modelResponse>,
  settings: Pick<ModelSettings, 'name' | 'use'>,
  publisherKeys: readonly (KeyObject | PublisherKey)[],
): VerifiedModel {
  const manifestBytes = parseBase64url(offered.manifest, 'manifest');
  const signature = utf8(offered.signature);
  const verdict = verifyModelRelease({ bundleBytes: signature, manifestBytes, trustedKeys: publisherKeys });
  if (verdict.kind === 'refused') {
    throw refused(settings.name, verdict.reasons.map(({ message }) => message).join('; '));
  }
  const { manifest, manifestDigest } = verdict;
  if (manifest.name !== settings.name) throw refused(settings.name, `the signed manifest is of ${manifest.name}`);
  if (manifest.version !== offered.version) {
    throw refused(settings.name, `offered as ${offered.version}, signed as ${manifest.version}`);
  }
  const use = useOf(manifest, settings);
  const wanted = use === 'guard' ? filesForGuard(manifest.files) : manifest.files;
  const sealed = new Map(offered.files.map((file) => [file.path, file]));
  const files = wanted.map((file): SealedModelFile => {
    const found = sealed.get(file.path);
    if (found === undefined) throw refused(settings.name, `the hub does not have ${JSON.stringify(file.path)}`);
    if (found.sealedSize > maxSealedSize(file.size)) {
      throw refused(settings.name, `${found.sealedSize} sealed bytes for a file of ${file.size}`);
    }
    return { ...file, sealedSize: found.sealedSize, sealedSha256: found.sealedSha256 };
  });
  const { name, version } = manifest;
  return {
    name,
    version,
    manifest,
    manifestBytes,
    signature,
    manifestDigest,
    digestHex: toHex(manifestDigest),
    use,
    files,
  };
}

function useOf({ files }: ModelManifest, { name, use }: Pick<ModelSettings, 'name' | 'use'>): 'guard' | 'program' {
  const runs = modelFileOf(files, 'primary') !== undefined;
  if (use === 'guard' && !runs) throw refused(name, 'no primary file is one the guard can run: set `use` to `program`');
  return use === 'auto' ? (runs ? 'guard' : 'program') : use;
}

function refused(name: string, why: string): AgentError {
  return new AgentError('model-refused', `${name}: ${why}`);
}
