// A document for everybody, as it is kept: its bytes, the same compressed, and the name of this content.
import { sha256Hex } from '@edgekeep/core/digest';
import { constants, gzipSync } from 'node:zlib';

export interface Document {
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly gzip: Uint8Array<ArrayBuffer>;
  readonly sha256: string;
}

/** Megabytes take long: the reading thread does it. */
export function documentOf(content: Uint8Array): Document {
  // Copies: a thread hands over whole buffers, and a small one can be a part of another.
  const bytes = new Uint8Array(content);
  const gzip = new Uint8Array(gzipSync(bytes, { level: constants.Z_BEST_SPEED }));
  return { bytes, gzip, sha256: sha256Hex(bytes) };
}
