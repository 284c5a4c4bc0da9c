// A document that a publisher signs and the hub takes: reference values, IMA policies.
import { readFile } from 'node:fs/promises';
import { toBase64url } from '@edgekeep/core/bytes';
import type { Signer } from '@edgekeep/core/signer';
import { signModelFiles } from '@edgekeep/wire/file/model-signing';

export interface SignedDocument {
  /** base64url. */
  readonly document: string;
  /** The OMS bundle over the one file, as text. */
  readonly signature: string;
}

/** Signs a file that `assertValid` does not refuse, so that nobody signs what no hub reads. */
export async function signDocumentFile(
  file: string,
  signer: Signer,
  assertValid: (document: Uint8Array) => unknown,
): Promise<SignedDocument> {
  const document = await readFile(file);
  assertValid(document);
  const signature = Buffer.from(await signModelFiles(file, { signer, ignorePaths: [] })).toString('utf8');
  return { document: toBase64url(document), signature };
}
