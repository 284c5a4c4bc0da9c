// The tables that `node` writes.

export interface NodeTables {
  node: NodeRow;
  key_document: KeyDocumentRow;
}

/** A process that serves this hub's fleet together with others over one store. A row gives no key: the key document says who gets one. */
export interface NodeRow {
  /** 32 hex digits, of the node's data folder. */
  readonly id: string;
  /** For people. */
  readonly name: string;
  readonly version: string;
  /** JSON: where its listeners are. */
  readonly addresses: string;
  /** By the clock of the store, as all times here, in Unix milliseconds. */
  readonly joined_at: number;
  /** Null before its first start, and after it ended. */
  readonly seen_at: number | null;
  /** Names the process that is this node now. */
  readonly claim: string | null;
  /** Names the folder on its machine that this process has locked. */
  readonly place: string | null;
  /** Entries of the log that its tiles have. */
  readonly log_size: number;
  /** Connections of devices. */
  readonly connections: number;
  /** The version of the key document that it uses. */
  readonly keys_version: number;
  readonly removed_at: number | null;
}

/** The hub's sealed keys (spec/platform-secrets.md, "Keys in the store"): one row. */
export interface KeyDocumentRow {
  readonly id: number;
  readonly version: number;
  readonly document: Uint8Array;
}
