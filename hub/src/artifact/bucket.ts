// What the hub needs of an S3 bucket: five operations on whole objects and ranges of them. The way there is in doors/bucket. Keys are relative
// to the prefix of the settings.

export interface ByteRange {
  /** Both ends inclusive. */
  readonly start: number;
  readonly end: number;
}

export interface ListedObject {
  readonly key: string;
  readonly size: number;
  readonly modifiedMs: number;
}

/**
 * Every operation ends within a time that depends on its size, with a few tries where a failure may pass. All throw `artifacts-unreachable`,
 * `artifacts-busy` or `artifacts-refused`.
 */
export interface Bucket {
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** As many bytes as the range has; undefined where there is no such object. `artifact-lost` where it ends before the range does. */
  get(key: string, range: ByteRange, signal?: AbortSignal): Promise<Uint8Array | undefined>;
  /** The whole object, of at most `maxBytes`. */
  getWhole(key: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Succeeds where there is none. */
  remove(key: string): Promise<void>;
  list(prefix: string): AsyncIterable<ListedObject>;
}
