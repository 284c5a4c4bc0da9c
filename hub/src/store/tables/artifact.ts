// The tables that `artifact` writes.

export interface ArtifactTables {
  artifact_file: ArtifactFileRow;
  artifact_part: ArtifactPartRow;
}

/** A sealed file whose parts are objects of a bucket. */
export interface ArtifactFileRow {
  /** Random; the objects of its parts have it in their keys. */
  readonly id: string;
  /** `removed`: its objects go next. */
  readonly state: 'incoming' | 'complete' | 'removed';
  /** Digest of the upload's name; null once it has ended. */
  readonly upload: string | null;
  /** Random, for each request that sends it: an earlier one that still runs, on another node too, adds nothing more. */
  readonly writer: string;
  /** Of the whole; null while it is not complete. */
  readonly sha256: string | null;
  readonly size: number | null;
  /** The length of every part but the last. */
  readonly part_bytes: number;
  readonly block_bytes: number;
  readonly touched_at: number;
}

export interface ArtifactPartRow {
  readonly file: string;
  /** From 0. */
  readonly number: number;
  readonly sha256: string;
  readonly size: number;
  /** SHA-256 of each block, one behind the other. */
  readonly blocks: Uint8Array;
}
