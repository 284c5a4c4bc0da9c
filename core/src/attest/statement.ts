// How a statement about PCRs that software keeps is appraised, for any signer: it must be fresh, cover the requested PCRs, and agree with
// the replayed log.
import { equalBytes, toHex } from '../bytes.ts';
import type { SoftwareStatement } from './evidence.ts';
import type { Reason } from './reason.ts';

export interface StatementExpectations {
  readonly expectedQualifyingData: Uint8Array;
  /** Ascending. */
  readonly pcrSelection: readonly number[];
}

/** Empty when the statement is fresh and the log explains it. Its signature was verified already. */
export function statementReasons(
  statement: SoftwareStatement,
  { expectedQualifyingData, pcrSelection }: StatementExpectations,
  replayedValue: (pcr: number) => Uint8Array,
): readonly Reason[] {
  const reasons: Reason[] = [];
  if (!equalBytes(statement.qualifyingData, expectedQualifyingData)) {
    const both = `${toHex(statement.qualifyingData)}, expected ${toHex(expectedQualifyingData)}`;
    const message = `the statement is over the qualifying data ${both}: it is old, or was made for another purpose`;
    reasons.push({ code: 'qualifying-data-mismatch', message });
  }
  const stated = [...statement.pcrs.keys()].join(',');
  if (stated !== pcrSelection.join(',')) {
    const message = `the statement covers PCRs ${stated || 'none'}, expected ${pcrSelection.join(',')}`;
    return [...reasons, { code: 'pcr-selection-mismatch', message }];
  }
  for (const [pcr, value] of statement.pcrs) {
    const replayed = replayedValue(pcr);
    if (equalBytes(value, replayed)) continue;
    const message = `the log replays PCR ${pcr} to ${toHex(replayed)}, the device states ${toHex(value)}: the log is not what was measured`;
    reasons.push({ code: 'pcr-digest-mismatch', message, pcr });
  }
  return reasons;
}
