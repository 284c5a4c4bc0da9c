// How far a verifier has followed a device's IMA log: enough to go on from there, and nothing of the log itself.

/** PCR 10 had `value` in the sha256 bank after this many entries. */
export interface ImaLogState {
  readonly entries: number;
  readonly value: Uint8Array;
}
