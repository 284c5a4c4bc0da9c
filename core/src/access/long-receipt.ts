// The long form of a receipt: the short one, and the evidence that its entry names, so that nobody has to believe the hub about the boot
// (spec/receipt.md, "The long form"). Verified with public keys and makers' roots alone.
import type { KeyRelease } from './key-release.ts';
import { z } from 'zod';
import { type Appraisal, appraiseEvidence } from '../attest/appraise.ts';
import { type Evidence, EVIDENCE_BYTES_MAX, evidenceDocument, parseEvidence } from '../attest/evidence.ts';
import type { ImaLogState } from '../attest/ima-log-state.ts';
import { qualifyingData } from '../attest/qualifying-data.ts';
import { parseBase64url, parseHex, toBase64url, toHex } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson } from '../json.ts';
import { BUNDLE_LENGTH_MAX } from '../model/signature/bundle.ts';
import { MANIFEST_LENGTH_MAX } from '../model/manifest.ts';
import { assertNesting } from '../nesting.ts';
import { type MakerRoots, type OriginVerdict, verifyOrigin } from './evidence-origin.ts';
import { type DetachedModel, holdsModel, RECEIPT_BYTES_MAX, type ReceiptSummary, verifyReceipt } from './receipt.ts';
import { boundToAsk } from './release-ask.ts';
import {
  type EvidenceOrigin,
  evidenceOriginDocument,
  evidenceOriginOf,
  evidenceOriginSchema,
  namesEvidence,
  releaseEvidenceOf,
} from './release-evidence.ts';
import type { Trust } from './trust.ts';

const type = 'edgekeep-long-receipt/v2';
const exporterLength = 32;

/** Evidence, manifest and bundle at their limits in base64url, and room for the rest. */
export const LONG_RECEIPT_BYTES_MAX =
  EVIDENCE_BYTES_MAX + Math.ceil(((MANIFEST_LENGTH_MAX + BUNDLE_LENGTH_MAX) * 4) / 3) + 1024 * 1024;

const base64url = (maxBytes: number) => z.string().max(Math.ceil((maxBytes * 4) / 3));
const schema = z.strictObject({
  type: z.literal(type),
  receipt: base64url(RECEIPT_BYTES_MAX),
  evidence: z.record(z.string(), z.custom<Json | undefined>()),
  /** The TLS exporter of the connection that the key was released on. */
  exporter: base64url(exporterLength),
  /** What the device asked for besides model and version; left out by an agent of the version before. */
  ask: z.strictObject({ wraps: z.array(z.string().max(64)).min(1).max(16) }).optional(),
  imaStart: z.strictObject({ entries: z.int().min(1), value: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
  origin: evidenceOriginSchema,
  /** Where the receipt names them by digest only. */
  model: z
    .strictObject({ manifest: base64url(MANIFEST_LENGTH_MAX), modelSignature: base64url(BUNDLE_LENGTH_MAX) })
    .optional(),
});

/** What a hub keeps of one release besides the receipt. */
export interface KeptEvidence {
  readonly evidence: Evidence;
  readonly exporter: Uint8Array;
  /** The types of wrapped keys that the device asked for; undefined from an agent of the version before, whose evidence is not bound to it. */
  readonly wraps?: readonly string[] | undefined;
  /** Where the IMA log of the evidence begins; undefined for a whole log, or none. */
  readonly imaStart?: ImaLogState | undefined;
  readonly origin: EvidenceOrigin;
}

export interface LongReceiptContent extends KeptEvidence {
  /** The short form. */
  readonly receipt: Uint8Array;
  /** Left out where the receipt holds them. */
  readonly model: DetachedModel;
}

export interface LongReceiptSummary extends ReceiptSummary {
  readonly evidence: {
    readonly eventLogBytes: number;
    /** Entries of the IMA log that the quote covers; undefined when it covers none. */
    readonly imaEntries: number | undefined;
    /** What could be shown of the maker. */
    readonly origin: Extract<OriginVerdict, { kind: 'verified' | 'not-asked' }>;
  };
}

export type LongReceiptVerdict =
  | { readonly kind: 'verified'; readonly summary: LongReceiptSummary }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Whether these bytes are a long form; says nothing else about them. */
export function isLongReceipt(bytes: Uint8Array): boolean {
  // Canonical JSON ends with its last member, and that is `type`.
  return Buffer.from(bytes.subarray(-64)).toString('latin1').endsWith(`"type":"${type}"}`);
}

export function encodeLongReceipt({
  receipt,
  evidence,
  exporter,
  wraps,
  imaStart,
  origin,
  model,
}: LongReceiptContent): Uint8Array {
  const bytes = encodeCanonicalJson({
    type,
    receipt: toBase64url(receipt),
    evidence: evidenceDocument(evidence),
    exporter: toBase64url(exporter),
    ...(wraps === undefined ? {} : { ask: { wraps: [...wraps] } }),
    ...(imaStart === undefined ? {} : { imaStart: { entries: imaStart.entries, value: toHex(imaStart.value) } }),
    origin: evidenceOriginDocument(origin),
    ...(holdsModel(receipt)
      ? {}
      : { model: { manifest: toBase64url(model.manifest), modelSignature: toBase64url(model.modelSignature) } }),
  });
  assertLength(bytes);
  return bytes;
}

/**
 * Verifies the receipt in it, then the evidence (receipt.md, steps 5 and 6). Without `makers` the maker of the hardware is not verified, and
 * the summary says so. Broken bytes throw `receipt-invalid` or the code of the part that is broken.
 */
export function verifyLongReceipt(bytes: Uint8Array, trust: Trust, makers?: MakerRoots): LongReceiptVerdict {
  const long = parseLongReceipt(bytes);
  if (holdsModel(long.receipt) !== (long.model === undefined)) {
    throw new CoreError('receipt-invalid', 'long receipt: manifest and signature are in the receipt or beside it');
  }
  const short = verifyReceipt(long.receipt, trust, long.model);
  if (short.kind === 'refused') return short;
  const { release, attestation, at } = short.summary;
  if (release.evidence === undefined) {
    throw new CoreError('receipt-invalid', 'long receipt: the receipt in it is of version 1 and names no evidence');
  }
  const named = releaseEvidenceOf(long.evidence, long.origin);
  if (
    named === undefined ||
    !namesEvidence(release.evidence, long.evidence) ||
    toHex(encodeCanonicalJson(named)) !== toHex(encodeCanonicalJson(release.evidence))
  ) {
    return { kind: 'refused', reasons: ['evidence: it is not the evidence that was logged'] };
  }
  const atSeconds = Math.floor(at / 1_000);
  const origin = verifyOrigin(long.origin, long.evidence, makers, atSeconds);
  if (origin.kind === 'refused')
    return { kind: 'refused', reasons: origin.reasons.map((reason) => `maker: ${reason}`) };
  const appraisal = appraiseEvidence({
    evidence: long.evidence,
    key: origin.key,
    tier: release.device.tier,
    expectedQualifyingData: expectedData(long, short.summary),
    pcrSelection: attestation.pcrs,
    // The result has the hub's judgement of the boot; this is about what was booted.
    referenceValues: [],
    imaStart: long.imaStart,
    dice: origin.kind === 'verified' ? origin.dice : undefined,
  });
  const reasons = contradictions(short.summary, appraisal);
  if (reasons.length > 0) return { kind: 'refused', reasons: reasons.map((reason) => `evidence: ${reason}`) };
  if (contradictsMaker(release, origin))
    return { kind: 'refused', reasons: ['publisher: the maker in the entry did not certify this device'] };
  const evidence = { eventLogBytes: long.evidence.eventLog.length, imaEntries: appraisal.imaLog?.entries, origin };
  return { kind: 'verified', summary: { ...short.summary, evidence } };
}

/** The maker that the hub named for the publisher's release policy is none of those that the certificates show. */
function contradictsMaker({ releasePolicy }: KeyRelease, origin: OriginVerdict): boolean {
  if (releasePolicy?.maker === undefined || origin.kind !== 'verified') return false;
  const { maker } = origin;
  if (maker === undefined) return true;
  return maker.authorities !== undefined && !maker.authorities.includes(releasePolicy.maker);
}

function expectedData({ exporter, wraps }: KeptEvidence, { release, attestation }: ReceiptSummary): Uint8Array {
  if (wraps === undefined) return qualifyingData('release', attestation.nonce, exporter);
  const { name: model, version } = release.model;
  return qualifyingData('bound-release', attestation.nonce, boundToAsk(exporter, { model, version, wraps }));
}

/** What the signed result says otherwise than the evidence does. */
function contradictions({ attestation }: ReceiptSummary, appraisal: Appraisal): readonly string[] {
  if (appraisal.status === 'contraindicated') return appraisal.reasons.map(({ message }) => message);
  const reasons: string[] = [];
  if (attestation.pcrDigest !== appraisal.pcrDigest) {
    reasons.push(`the result has the PCR digest ${attestation.pcrDigest}, the evidence ${appraisal.pcrDigest}`);
  }
  if (attestation.resetCount !== appraisal.resetCount) {
    reasons.push(`the result has the reset count ${attestation.resetCount}, the evidence ${appraisal.resetCount}`);
  }
  const layers = (of: AppraisedLayers) => toHex(encodeCanonicalJson((of ?? []).map((layer) => ({ ...layer }))));
  const shown = appraisal.dice?.layers.slice(0, attestation.layers?.length);
  if (layers(attestation.layers) !== layers(shown)) reasons.push('the result has other layers than the evidence');
  return reasons;
}

type AppraisedLayers = ReceiptSummary['attestation']['layers'];

interface LongReceipt extends KeptEvidence {
  readonly receipt: Uint8Array;
  readonly model: DetachedModel | undefined;
}

function parseLongReceipt(bytes: Uint8Array): LongReceipt {
  assertLength(bytes);
  assertNesting(bytes, 'long receipt', 'receipt-invalid');
  const { receipt, evidence, exporter, ask, imaStart, origin, model } = parseCanonicalJson(
    bytes,
    schema,
    'long receipt',
    'receipt-invalid',
  );
  const bound = parseBase64url(exporter, 'exporter');
  if (bound.length !== exporterLength)
    throw new CoreError('receipt-invalid', `long receipt: an exporter has ${exporterLength} bytes`);
  return {
    receipt: parseBase64url(receipt, 'receipt'),
    evidence: parseEvidence(encodeCanonicalJson(evidence)),
    exporter: bound,
    wraps: ask?.wraps,
    imaStart: imaStart && { entries: imaStart.entries, value: parseHex(imaStart.value, 'imaStart') },
    origin: evidenceOriginOf(origin),
    model: model && {
      manifest: parseBase64url(model.manifest, 'manifest'),
      modelSignature: parseBase64url(model.modelSignature, 'modelSignature'),
    },
  };
}

function assertLength(bytes: Uint8Array): void {
  if (bytes.length <= LONG_RECEIPT_BYTES_MAX) return;
  const message = `a long receipt of ${bytes.length} bytes, at most ${LONG_RECEIPT_BYTES_MAX} are allowed`;
  throw new CoreError('receipt-invalid', message);
}
