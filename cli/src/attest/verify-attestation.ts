// `attest verify --attestation`: what a device's agent answered to `GET /attest?nonce=HEX` (spec/agent.md section 4), appraised here and now,
// with nobody's word but the key's. The attestation result inside, the hub's opinion, is not looked at.
import { appraiseEvidence, type Appraisal } from '@edgekeep/core/attest/appraise';
import {
  type Evidence,
  EVIDENCE_BYTES_MAX,
  evidenceSchema,
  parseSoftwareStatement,
} from '@edgekeep/core/attest/evidence';
import { type AttestationKey, attestationKeyOf } from '@edgekeep/core/attest/quote';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import type { ReferenceValues } from '@edgekeep/core/attest/reference-values';
import { parseJson } from '@edgekeep/core/json';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { z } from 'zod';
import { exitCodes, type Outcome } from '../command.ts';
import { readBounded } from './input.ts';
import { isPem, readAttestationKey } from './signed-files.ts';

/** Room for the attestation result beside the evidence. */
const ATTESTATION_BYTES_MAX = EVIDENCE_BYTES_MAX + 256 * 1024;

const attestationSchema = z.strictObject({
  nonce: z.string().max(128),
  evidence: evidenceSchema,
  attestationResult: z.string().nullable(),
});

export interface AttestationExpectations {
  /** The bytes of the key file. */
  readonly key: Uint8Array;
  /** The 32 bytes that the agent was asked with; what the document says of it does not count. */
  readonly nonce: Uint8Array;
  /** Undefined for a key in PEM, unless it is known from elsewhere. */
  readonly qualifiedName: Uint8Array | undefined;
  /** Undefined takes those that were signed. */
  readonly pcrs: readonly number[] | undefined;
  readonly references: (pcrs: readonly number[]) => Promise<readonly ReferenceValues[]>;
}

export async function verifyAttestation(path: string, expected: AttestationExpectations): Promise<Outcome> {
  const { evidence } = parseJson(await readBounded(path, ATTESTATION_BYTES_MAX), attestationSchema, path);
  const key = keyOf(expected);
  const pcrSelection = expected.pcrs ?? signedPcrs(evidence);
  const appraisal = appraiseEvidence({
    evidence,
    key,
    // A TPM's key is known by its qualified name; a bare PEM key is a software device's.
    tier: key.qualifiedName === undefined ? 'software' : 'tpm',
    expectedQualifyingData: qualifyingData('local', expected.nonce, new Uint8Array(0)),
    pcrSelection,
    referenceValues: await expected.references(pcrSelection),
  });
  return outcomeOf(appraisal);
}

function keyOf({ key, qualifiedName }: AttestationExpectations): AttestationKey {
  // spec/tpm.md: the attestation key is a primary of the endorsement hierarchy.
  const known = isPem(key) ? { publicKey: readAttestationKey(key) } : attestationKeyOf(parsePublic(key), 'endorsement');
  return qualifiedName === undefined ? known : { ...known, qualifiedName };
}

// The evidence's own selection: its signature is verified afterwards, and the selection is shown.
function signedPcrs(evidence: Evidence): readonly number[] {
  if (evidence.kind === 'software') return [...parseSoftwareStatement(evidence.statement).pcrs.keys()];
  const attest = parseAttest(evidence.quote);
  return attest.kind === 'quote' ? (attest.selections.find(({ bank }) => bank === 'sha256')?.pcrs ?? []) : [];
}

function outcomeOf(appraisal: Appraisal): Outcome {
  const { status, tier, reasons, pcrSelection, pcrDigest, referenceValues } = appraisal;
  const verified = status === 'affirming' || status === 'warning';
  const matched = referenceValues === undefined ? null : `${referenceValues.name} ${referenceValues.version}`;
  const value = { verified, status, tier, pcrs: pcrSelection, pcrDigest, referenceValues: matched, reasons };
  const said = reasons.map(({ code, message }) => `  ${code}: ${message}`);
  if (!verified) return { exitCode: exitCodes.refused, value, text: ['refused:', ...said].join('\n') };
  const lines = [
    `verified: ${status}, tier ${tier}`,
    `pcrs: sha256:${pcrSelection.join(',')} digest ${pcrDigest}`,
    `reference values: ${matched ?? 'not given, any boot is accepted'}`,
    ...said,
  ];
  return { exitCode: exitCodes.ok, value, text: lines.join('\n') };
}
