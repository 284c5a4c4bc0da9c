// Where sealed files of models lie: in a folder of this node, or in an S3 bucket that all nodes of a hub share (docs/artifacts.md). They are
// ciphertext, named by the SHA-256 of their content. What arrived of an upload that broke off is kept as well.
import type { Readable } from 'node:stream';

export interface StoredArtifact {
  /** Lower-case hex. */
  readonly sha256: string;
  readonly size: number;
}

/** How many bytes the hub has, according to the sender. */
export interface UploadStart {
  readonly offset: number;
  /** SHA-256 of the bytes before it, hex. */
  readonly sha256: string;
}

export interface Upload {
  readonly name: string;
  readonly beginning: UploadStart | undefined;
}

export interface ArtifactStore {
  /**
   * Stores a stream of at most `maxSize` bytes; resolves once it is durable. When the stream breaks off, the received part of an `upload`
   * stays, and a later call continues after `beginning`, on another node too where the nodes share the store. Throws `payload-too-large`,
   * `upload-differs`, `conflict` where another request sends this upload now.
   */
  put(source: Readable, maxSize: number, upload?: Upload): Promise<StoredArtifact>;

  /**
   * Bytes `start` to `end` (inclusive) of a stored file; resolves when the first of them are here. A failure after that ends the stream with an
   * error, so that its receiver never takes a part for the whole. Throws `artifact-lost`, `artifacts-unreachable`, `artifacts-refused`.
   */
  open(sha256: string, start: number, end: number): Promise<Readable>;

  has(sha256: string, size: number): Promise<boolean>;

  /** Removes a file that no release names, unless it was stored at this time or later. */
  remove(sha256: string, beforeMs: number): Promise<void>;

  /** All complete files. */
  list(): AsyncIterable<StoredArtifact & { readonly storedAtMs: number }>;

  /** The number of bytes of an upload that are here; 0 for none. They stay for a week. */
  offsetOf(upload: string): Promise<number>;
}

/** How long what came of an upload is kept after its last byte. */
export const UPLOAD_KEPT_MS = 7 * 86_400_000;

/** Told of every failure, with the digest where it is about one file. */
export type OnFault = (error: unknown, sha256?: string) => void;
