// Attestation: at each new connection the device learns the hub's verdict on its boot, before it asks for any key. The answer to the bind has it; if
// not, and later, the device asks. The result is verified with the pinned keys; local programs read it from `GET /attest`.
import type { TrustedKey } from '@edgekeep/core/access/trust';
import { evidenceDocument } from '@edgekeep/core/attest/evidence';
import { type AttestationResult, verifyAttestationResult } from '@edgekeep/core/attest/ear';
import { isValidAt } from '@edgekeep/core/authority/key-list';
import { equalBytes } from '@edgekeep/core/bytes';
import { attestResponse } from '@edgekeep/wire/api/attest';
import type { Prover } from '../attest/attest.ts';
import type { Bound, HubLink } from './connection.ts';
import { AgentError } from '../error.ts';
import { type Answer, postToHub } from '../hub-api.ts';

export interface Attestation {
  /** The signed result, a JWT. */
  readonly token: string;
  readonly result: AttestationResult;
  /** The device's state at the hub afterwards. */
  readonly state: string;
}

export interface AttestationDependencies {
  readonly deviceId: string;
  readonly link: Pick<HubLink, 'withChallenge'>;
  readonly prover: Prover;
  readonly keys: readonly TrustedKey[];
  /** Unix milliseconds. */
  readonly clock: () => number;
}

/** Made for this device just now, within the difference of the clocks. */
const AGE_SECONDS_MAX = 3_600;
const SKEW_SECONDS_MAX = 300;
const outOfTime = { kind: 'refused', reasons: ['the key that signed it does not count at this time'] } as const;
const stolen = {
  kind: 'refused',
  reasons: ['the key that signed it was stolen: alone, its results do not count'],
} as const;

/**
 * The result that came with `bound`, else the result of evidence made now. Throws `hub-answer-invalid` for a result that is not the pinned verifier's
 * result for this device and this evidence.
 */
export async function attest(dependencies: AttestationDependencies, bound?: Bound): Promise<Answer<Attestation>> {
  if (bound?.attestation !== undefined) {
    const { token, nonce } = bound.attestation;
    return { kind: 'ok', value: { token, result: verified(dependencies, token, nonce), state: bound.state } };
  }
  return dependencies.link.withChallenge(async ({ nonce, exporter, pcrs, send, known }) => {
    const evidence = evidenceDocument(
      await dependencies.prover.evidence('release', nonce, exporter, pcrs, { send, known }),
    );
    const answer = await postToHub(send, '/v1/attest', { evidence }, attestResponse);
    if (answer.kind === 'refused') return answer;
    const { attestationResult: token, state } = answer.value;
    return { kind: 'ok', value: { token, result: verified(dependencies, token, nonce), state } };
  });
}

function verified(
  { deviceId, keys, clock }: AttestationDependencies,
  token: string,
  nonce: Uint8Array,
): AttestationResult {
  const window = {
    nowSeconds: Math.floor(clock() / 1_000),
    maxAgeSeconds: AGE_SECONDS_MAX,
    maxSkewSeconds: SKEW_SECONDS_MAX,
  };
  // spec/key-list.md: a key counts for its purpose and in its time. A result alone does not show when a stolen key made it.
  const verdicts = keys.map((key) => {
    const verdict = verifyAttestationResult(token, key.publicKey, window);
    if (verdict.kind === 'verified' && key.compromised) return stolen;
    return verdict.kind === 'verified' && !isValidAt(key, verdict.result.issuedAt) ? outOfTime : verdict;
  });
  const verdict = verdicts.find(({ kind }) => kind === 'verified');
  if (verdict?.kind !== 'verified') {
    const why = verdicts.flatMap((each) => (each.kind === 'refused' ? each.reasons : [])).join('; ');
    throw new AgentError('hub-answer-invalid', `the attestation result does not verify: ${why}`);
  }
  if (verdict.result.subject !== deviceId) {
    throw new AgentError('hub-answer-invalid', `the attestation result is about ${verdict.result.subject}`);
  }
  if (!equalBytes(verdict.result.nonce, nonce)) {
    throw new AgentError('hub-answer-invalid', 'the attestation result is about other evidence than this device sent');
  }
  return verdict.result;
}
