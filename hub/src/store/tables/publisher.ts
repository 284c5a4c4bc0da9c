// The tables that `publisher` writes.

export interface PublisherTables {
  publisher: PublisherRow;
}

export interface PublisherRow {
  readonly fingerprint: string;
  readonly name: string;
  readonly public_key: string;
  readonly added_at: number;
}
