// For tests: a release as a hub offers it, from the parts of a test receipt.
import type { testReceiptParts } from '@edgekeep/core/access/testing-receipt';
import { parseUtf8, toBase64url, toHex } from '@edgekeep/core/bytes';
import { manifestDigest } from '@edgekeep/core/model/manifest';

type Parts = Pick<Awaited<ReturnType<typeof testReceiptParts>>, 'manifest' | 'modelSignature'>;

export function testOffer({ manifest, modelSignature }: Parts) {
  return {
    name: 'surface',
    version: '1.2.0',
    manifestDigest: toHex(manifestDigest(manifest)),
    manifest: toBase64url(manifest),
    signature: parseUtf8(modelSignature, 'signature'),
    files: [{ path: 'model.onnx', sealedSize: 111, sealedSha256: 'bb'.repeat(32) }],
  };
}
