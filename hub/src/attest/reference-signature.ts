// The signature of a publisher over a reference values document: an OMS bundle over the one file (spec/model-signature.md).
import { sha256Hex } from '@edgekeep/core/digest';
import type { PublisherKey } from '@edgekeep/core/model/signature/publisher-key';
import { verifyBundle } from '@edgekeep/core/model/signature/verify';
import { HubError } from '../common/error.ts';

/** Gives the fingerprint of the key that signed. Throws `reference-values-refused`, or `publisher-untrusted` where nobody is trusted. */
export function verifySignedDocument(document: Uint8Array, signature: string, keys: readonly PublisherKey[]): string {
  const refuse = (reasons: readonly { code: string; message: string }[]) =>
    new HubError('reference-values-refused', 'the signature of the reference values is not accepted', { reasons });
  if (keys.length === 0)
    throw new HubError(
      'publisher-untrusted',
      'no publisher is trusted yet: `edgekeep publisher trust PUB.pem` adds one',
    );
  const verdict = verifyBundle(Buffer.from(signature), { kind: 'keys', keys });
  if (verdict.kind === 'refused') throw refuse(verdict.reasons);
  // A single-file OMS model: its resource is ".".
  const [resource, ...others] = verdict.statement.resources;
  const digest = sha256Hex(document);
  if (resource === undefined || others.length > 0 || verdict.statement.serialization.hash !== 'sha256') {
    throw refuse([
      { code: 'unsupported-serialization', message: 'sign the one document file, hashed whole with SHA-256' },
    ]);
  }
  if (resource.digest !== digest) {
    throw refuse([
      { code: 'digest-mismatch', message: `the signature is over ${resource.digest}, the document is ${digest}` },
    ]);
  }
  return verdict.signer.keyFingerprint;
}
