import type { ImaLogState } from '@edgekeep/core/attest/ima-log-state';

/**
 * What a connection keeps of the pieces of an IMA log that arrived before their quote: how far they were replayed, and their total length.
 */
export interface ImaPieces {
  imaLog: (ImaLogState & { readonly bytes: number; readonly policyState: string }) | undefined;
}
