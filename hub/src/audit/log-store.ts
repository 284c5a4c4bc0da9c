// What the audit log asks of the store behind it: the entries in their order, and the checkpoints that were signed.

/** Entries as the store holds them, by index, without gaps. */
export interface EntrySource {
  size(): Promise<number>;
  read(from: number, toExclusive: number): Promise<readonly LoggedEntry[]>;
}

export interface LoggedEntry {
  readonly entry: Uint8Array;
  readonly leafHash: Uint8Array;
}

/** The last checkpoint that was signed. */
export interface CheckpointStore {
  latest(): Promise<Uint8Array | undefined>;
  /**
   * Resolves to the note that counts for this size once it is durable: the one that another node saved first, if `isSame` takes it, else this one.
   */
  save(note: Uint8Array, isSame: (saved: Uint8Array) => boolean): Promise<Uint8Array>;
}
