// `attest verify --attestation`: the answer of a device's agent to `GET /attest?nonce=HEX` (spec/agent.md section 4), appraised here and
// now, trusting nothing but the key. The attestation result inside, the hub's opinion, is ignored; without a nonce of the caller, its time counts.
import { appraiseEvidence, type Appraisal } from '@edgekeep/core/attest/appraise';
import { parseDiceStatement } from '@edgekeep/core/attest/dice-statement';
import {
  type Evidence,
  EVIDENCE_BYTES_MAX,
  evidenceSchema,
  parseSoftwareStatement,
} from '@edgekeep/core/attest/evidence';
import { type AttestationKey, attestationKeyOf } from '@edgekeep/core/attest/quote';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import type { ReferenceValues } from '@edgekeep/core/attest/reference-values';
import type { Tier } from '@edgekeep/core/attest/tier';
import type { Certificate } from '@edgekeep/core/identity/certificate';
import { CoreError } from '@edgekeep/core/error';
import { parseJson } from '@edgekeep/core/json';
import { parseAttest } from '@edgekeep/core/tpm/attest';
import { parsePublic } from '@edgekeep/core/tpm/public-area';
import { z } from 'zod';
import { exitCodes, type Outcome, UsageError } from '../command.ts';
import { readBounded } from './input.ts';
import type { NonceOfResult } from './known-device.ts';
import { isPem, readAttestationKey } from './signed-files.ts';

/** Room for the attestation result besides the evidence. */
const ATTESTATION_BYTES_MAX = EVIDENCE_BYTES_MAX + 256 * 1024;

const attestationSchema = z.strictObject({
  nonce: z.string().max(128),
  evidence: evidenceSchema,
  attestationResult: z.string().nullable(),
  /** What the agent reports about its guard; unsigned, and ignored. */
  missingGuardWalls: z.array(z.string().max(256)).max(64).nullable().optional(),
});

export interface AttestationExpectations {
  /** The bytes of the key file. */
  readonly key: Uint8Array;
  /**
   * The 32 bytes that the agent was asked with, or how they follow from the hub's result in the document; the nonce that the document names
   * does not count.
   */
  readonly nonce: Uint8Array | NonceOfResult;
  /** Undefined for a key in PEM, unless it is known from elsewhere. */
  readonly qualifiedName: Uint8Array | undefined;
  /** Undefined: the PCRs that were signed. */
  readonly pcrs: readonly number[] | undefined;
  /** The device's IMA log, if the document has none or a shorter one. */
  readonly imaLog: Uint8Array | undefined;
  readonly references: (pcrs: readonly number[]) => Promise<readonly ReferenceValues[]>;
  /** Roots that a DICE device's chain may end at; for other devices there are none. */
  readonly diceRoots: readonly Certificate[];
  /** Unix seconds at which a DICE device's chain must be valid. */
  readonly atSeconds: number;
}

export async function verifyAttestation(path: string, expected: AttestationExpectations): Promise<Outcome> {
  const document = parseJson(
    await readBounded(path === '-' ? '/dev/stdin' : path, ATTESTATION_BYTES_MAX),
    attestationSchema,
    path,
  );
  const evidence = withImaLog(document.evidence, expected.imaLog);
  const key = keyOf(expected);
  const { diceRoots: anchors, atSeconds } = expected;
  if (evidence.kind === 'dice' && anchors.length === 0) {
    throw new UsageError('--dice-root is missing: the chain of a DICE device must end at a root');
  }
  const pcrSelection = expected.pcrs ?? signedPcrs(evidence);
  const appraisal = appraiseEvidence({
    evidence,
    key,
    tier: tierOf(evidence, key),
    expectedQualifyingData: qualifyingData('local', nonceIn(document, expected), new Uint8Array(0)),
    pcrSelection,
    referenceValues: await expected.references(pcrSelection),
    dice: { trust: { anchors, intermediates: [] }, atSeconds },
  });
  return outcomeOf(appraisal);
}

function nonceIn(
  { attestationResult }: z.infer<typeof attestationSchema>,
  { nonce }: AttestationExpectations,
): Uint8Array {
  if (nonce instanceof Uint8Array) return nonce;
  if (attestationResult === null)
    throw new CoreError(
      'evidence-invalid',
      'there is no result of the hub in the answer that its nonce could follow from',
    );
  return nonce(attestationResult);
}

function withImaLog(evidence: Evidence, imaLog: Uint8Array | undefined): Evidence {
  if (imaLog === undefined) return evidence;
  if (evidence.kind !== 'tpm')
    throw new UsageError(`--ima-log belongs to a TPM; the evidence is of kind ${evidence.kind}`);
  return { ...evidence, imaLog };
}

// A TPM's key is known by its qualified name; a bare PEM key is a DeviceID, where the evidence has a chain to it, or a software device's.
function tierOf(evidence: Evidence, key: AttestationKey): Tier {
  if (key.qualifiedName !== undefined) return 'tpm';
  return evidence.kind === 'dice' ? 'dice' : 'software';
}

function keyOf({ key, qualifiedName }: AttestationExpectations): AttestationKey {
  // spec/tpm.md: the attestation key is a primary of the endorsement hierarchy.
  const known = isPem(key) ? { publicKey: readAttestationKey(key) } : attestationKeyOf(parsePublic(key), 'endorsement');
  return qualifiedName === undefined ? known : { ...known, qualifiedName };
}

// The evidence's own selection: its signature is verified later, and the selection is shown.
function signedPcrs(evidence: Evidence): readonly number[] {
  if (evidence.kind === 'software') return [...parseSoftwareStatement(evidence.statement).pcrs.keys()];
  if (evidence.kind === 'dice') return [...parseDiceStatement(evidence.statement).pcrs.keys()];
  const attest = parseAttest(evidence.quote);
  return attest.kind === 'quote' ? (attest.selections.find(({ bank }) => bank === 'sha256')?.pcrs ?? []) : [];
}

function outcomeOf(appraisal: Appraisal): Outcome {
  const { status, tier, reasons, pcrSelection, pcrDigest, referenceValues } = appraisal;
  const verified = status === 'affirming' || status === 'warning';
  const matched = referenceValues === undefined ? null : `${referenceValues.name} ${referenceValues.version}`;
  const layers = appraisal.dice?.layers ?? [];
  const imaEntries = appraisal.imaLog?.entries ?? null;
  const common = { status, tier, pcrs: pcrSelection, pcrDigest, imaEntries, referenceValues: matched };
  const value = { verified, ...common, layers, reasons };
  const said = [
    ...layers.map(({ layer, svn, 'tcb-info': digest }) => `  layer ${layer}: svn ${svn ?? '-'}, TcbInfo ${digest}`),
    ...reasons.map(({ code, message }) => `  ${code}: ${message}`),
  ];
  if (!verified) return { exitCode: exitCodes.refused, value, text: ['refused:', ...said].join('\n') };
  const lines = [
    `verified: ${status}, tier ${tier}`,
    `pcrs: sha256:${pcrSelection.join(',')} digest ${pcrDigest}`,
    ...(imaEntries === null ? [] : [`IMA log: ${imaEntries} entries replay to the quoted PCR 10`]),
    `reference values: ${matched ?? 'not given, any boot is accepted'}`,
    ...said,
  ];
  return { exitCode: exitCodes.ok, value, text: lines.join('\n') };
}
