// Where large parts of evidence lie, by content: in a folder of this node, or in the bucket that all nodes share. A boot's log is there once, for
// every receipt that rests on it.
import { sha256Hex } from '@edgekeep/core/digest';

export interface StoredContent {
  readonly sha256: string;
  readonly size: number;
}

/** A content with its digest; the bytes are made where it is missing. */
export interface EvidenceContent extends StoredContent {
  readonly bytes: () => Uint8Array | Promise<Uint8Array>;
}

export function contentOf(bytes: Uint8Array, sha256 = sha256Hex(bytes)): EvidenceContent {
  return { sha256, size: bytes.length, bytes: () => bytes };
}

export interface EvidenceStore {
  /** Whether other nodes write there: then a content that nobody names is claimed in the store before it is removed. */
  readonly isShared: boolean;

  /** Called with the bytes that came since it last returned true. */
  onGrown: (bytes: number) => boolean;

  /** Writes the content where it is missing. It is held until `release`: this node does not remove it before its row is written. */
  put(content: EvidenceContent): Promise<StoredContent>;

  release(digests: readonly string[]): void;

  /** Another node removes these, or has removed them (`isGone`): they are written again at the next `put`. */
  forget(digests: readonly string[], isGone: boolean): void;

  /** Whether it was written again after it was seen to be gone. */
  isWrittenAnew(sha256: string): boolean;

  /** Undefined when it is missing or is not what its name says. */
  read(sha256: string): Promise<Uint8Array | undefined>;

  /** Removes a content that no row names, unless a release under way holds it, at another node too. */
  remove(sha256: string): Promise<void>;

  /** All complete contents that may be removed where no row names them. */
  list(): AsyncIterable<string>;
}
