import type { ImaLogState } from '@edgekeep/core/attest/ima-log-state';

/** What a connection keeps of pieces of an IMA log that came ahead of their quote: how far they were replayed, and how long they were. */
export interface ImaPieces {
  imaLog: (ImaLogState & { readonly bytes: number }) | undefined;
}
