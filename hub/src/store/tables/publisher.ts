// The tables that `publisher` writes.

export interface PublisherTables {
  publisher: PublisherRow;
  publisher_end: PublisherEndRow;
}

export interface PublisherRow {
  readonly fingerprint: string;
  readonly name: string;
  readonly public_key: string;
  readonly added_at: number;
}

/** From `ends_at` on, milliseconds, nothing new that the publisher signed is accepted. */
export interface PublisherEndRow {
  readonly fingerprint: string;
  readonly ends_at: number;
  readonly note: string;
  readonly ordered_at: number;
}
