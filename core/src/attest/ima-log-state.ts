// How much of a device's IMA log a verifier has followed: enough to continue from there, and nothing of the log itself.
import type { ImaFindings, ImaPolicies } from './ima-findings.ts';
import { imaPcrValues, parseImaLog } from './ima-log.ts';
import { IMA_PCR } from './reference-values.ts';

/** PCR 10 had `value` in the sha256 bank after this many entries. */
export interface ImaLogState {
  readonly entries: number;
  readonly value: Uint8Array;
  /** What the verifier's policies do not accept among these entries; undefined where they were not compared. */
  readonly findings?: readonly ImaFindings[] | undefined;
}

/** Before the first entry: the value of PCR 10 when the boot measured nothing into it. */
export const imaLogBegin: ImaLogState = { entries: 0, value: new Uint8Array(32) };

/**
 * The state after the whole entries of `piece`, which follow those of `before`, compared with `policies`. Throws as `parseImaLog` and
 * `imaPcrValues`.
 */
export function followImaLog(before: ImaLogState, piece: Uint8Array, policies?: ImaPolicies): ImaLogState {
  const entries = parseImaLog(piece, before.entries);
  const values = imaPcrValues(entries, 'sha256', IMA_PCR, before.value);
  const findings = policies?.judge(entries, before.findings);
  return { entries: before.entries + entries.length, value: values.at(-1) ?? before.value, findings };
}
