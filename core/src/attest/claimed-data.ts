// The qualifying data that evidence says it is over, before anything of it was verified: a verifier with several names picks the one to compare.
import { CoreError } from '../error.ts';
import { parseAttest } from '../tpm/attest.ts';
import { parseDiceStatement } from './dice-statement.ts';
import { type Evidence, parseSoftwareStatement } from './evidence.ts';

/** Undefined for evidence that cannot be read; its appraisal says why. */
export function claimedQualifyingData(evidence: Evidence): Uint8Array | undefined {
  try {
    if (evidence.kind === 'tpm') return parseAttest(evidence.quote).extraData;
    const parse = evidence.kind === 'dice' ? parseDiceStatement : parseSoftwareStatement;
    return parse(evidence.statement).qualifyingData;
  } catch (error) {
    if (error instanceof CoreError) return undefined;
    throw error;
  }
}
