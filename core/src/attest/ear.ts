// The attestation result: an EAR (EAT Attestation Results, draft-ietf-rats-ear-00, profile `tag:github.com,2023:veraison/ear`; EAT is
// RFC 9711) with the AR4SI trustworthiness vector, as a JWT. Our tier and reasons are private claims. Format: spec/attestation-result.md.
import type { KeyObject } from 'node:crypto';
import { z } from 'zod';
import { parseBase64url, toBase64url } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { cutText } from '../canonical/printable.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson, parseValue } from '../json.ts';
import { signJws, verifyJws } from '../jws.ts';
import type { Signer } from '../signer.ts';
import type { Appraisal } from './appraise.ts';
import { type AppraisedLayer, appraisedLayerSchema } from './dice/appraised-layer.ts';
import { reasonCodes } from './reason.ts';
import { type Tier, tierSchema } from './tier.ts';
import { statusOfVector, trustStatuses, type TrustStatus, type TrustVector } from './trust-vector.ts';

const EAR_PROFILE = 'tag:github.com,2023:veraison/ear';
const EAR_TYP = 'eat+jwt'; // RFC 9782
export const EAR_BYTES_MAX = 16 * 1024; // travels in a receipt; room for a signature of 6 kB
const REASONS_MAX = 4; // the first ones tell what is wrong; the audit log has all
const MESSAGE_LENGTH_MAX = 600;
export const EAR_LAYERS_MAX = 16; // a chain has at most eight certificates, and few say more than one thing
const TIER_REASONS_MAX = 4;
const TIER_REASON_LENGTH_MAX = 300;
const SUBMODULE = 'device';

export interface ResultReason {
  readonly code: (typeof reasonCodes)[number];
  readonly message: string;
  readonly pcr?: number | undefined;
  /** Index of the event in the log. */
  readonly event?: number | undefined;
  /** The DICE layer. */
  readonly layer?: number | undefined;
}

export interface AttestationResult {
  /** When the appraisal was made, seconds since 1970. */
  readonly issuedAt: number;
  readonly verifier: { readonly developer: string; readonly build: string };
  /** The nonce that the evidence answered, 8 to 64 bytes. */
  readonly nonce: Uint8Array;
  /** The appraised device: its id. */
  readonly subject: string;
  readonly status: TrustStatus;
  readonly vector: TrustVector;
  /** The policy the appraisal followed: a URI or `name version` of the reference values. */
  readonly policyId: string;
  readonly tier: Tier;
  /** SHA-256 bank digest over the quoted PCRs, hex. */
  readonly pcrDigest: string;
  readonly pcrs: readonly number[];
  readonly resetCount: number;
  readonly reasons: readonly ResultReason[];
  /** What an operator should know about the tier: certificates of the maker that have ended since they certified the device. */
  readonly tierReasons?: readonly string[] | undefined;
  /** The firmware of a DICE device, layer by layer. */
  readonly layers?: readonly AppraisedLayer[] | undefined;
}

const claim = z.int().min(-128).max(127).optional();
const submoduleSchema = z.strictObject({
  'ear.status': z.enum(trustStatuses),
  'ear.trustworthiness-vector': z.strictObject({
    'instance-identity': claim,
    configuration: claim,
    executables: claim,
    'file-system': claim,
    hardware: claim,
    'runtime-opaque': claim,
    'storage-opaque': claim,
    'sourced-data': claim,
  }),
  'ear.appraisal-policy-id': z.string().min(1).max(256),
  'edgekeep.tier': tierSchema,
  'edgekeep.pcrs': z.array(z.int().min(0).max(23)).max(24),
  'edgekeep.pcr-digest': z.string().regex(/^[0-9a-f]{64}([0-9a-f]{32}){0,2}$/),
  'edgekeep.reset-count': z.int().min(0).max(0xffffffff),
  'edgekeep.reasons': z
    .array(
      z.strictObject({
        code: z.enum(reasonCodes),
        message: z.string().max(MESSAGE_LENGTH_MAX),
        pcr: z.int().min(0).max(23).optional(),
        event: z.int().min(0).optional(),
        layer: z.int().min(0).optional(),
      }),
    )
    .max(REASONS_MAX),
  'edgekeep.tier-reasons': z
    .array(z.string().min(1).max(TIER_REASON_LENGTH_MAX))
    .min(1)
    .max(TIER_REASONS_MAX)
    .optional(),
  'edgekeep.layers': z.array(appraisedLayerSchema).min(1).max(EAR_LAYERS_MAX).optional(),
});

const schema = z.strictObject({
  eat_profile: z.literal(EAR_PROFILE),
  eat_nonce: z.string().min(11).max(88),
  iat: z.int().min(0),
  sub: z.string().min(1).max(128),
  'ear.verifier-id': z.strictObject({ developer: z.string().min(1).max(128), build: z.string().min(1).max(128) }),
  submods: z.strictObject({ [SUBMODULE]: submoduleSchema }),
});

/** What the verifier adds to an appraisal to make a result. */
export type ResultContext = Pick<
  AttestationResult,
  'issuedAt' | 'verifier' | 'nonce' | 'subject' | 'policyId' | 'tierReasons'
>;

/** The result of an appraisal. Keeps the first four reasons, their messages cut at 600 characters. */
export function attestationResultOf(appraisal: Appraisal, context: ResultContext): AttestationResult {
  const { status, vector, tier, pcrDigest, pcrSelection, resetCount } = appraisal;
  const reasons = appraisal.reasons.slice(0, REASONS_MAX).map(({ code, message, pcr, event, layer }): ResultReason => {
    return { code, message: cutText(message, MESSAGE_LENGTH_MAX), pcr, event: event?.index, layer };
  });
  const layers = appraisal.dice?.layers.slice(0, EAR_LAYERS_MAX);
  const notes = (context.tierReasons ?? []).slice(0, TIER_REASONS_MAX);
  const tierReasons = notes.map((text) => cutText(text, TIER_REASON_LENGTH_MAX));
  const boot = { pcrDigest, pcrs: pcrSelection, resetCount };
  // A result cannot hold both, and no device has both.
  const noted = tierReasons.length === 0 || layers !== undefined ? undefined : tierReasons;
  return { ...context, status, vector, tier, tierReasons: noted, ...boot, reasons, layers };
}

/** Signs a result as a JWT under the key named `kid`. Throws `attestation-result-invalid` for a result a verifier would refuse. */
export async function signAttestationResult(result: AttestationResult, signer: Signer, kid: string): Promise<string> {
  const document = documentOf(result);
  parseValue(document, schema, 'attestation result', 'attestation-result-invalid');
  assertConsistent(result);
  const token = await signJws(encodeCanonicalJson(document), signer, { typ: EAR_TYP, kid });
  if (token.length > EAR_BYTES_MAX) throw invalid(`${token.length} bytes, at most ${EAR_BYTES_MAX} are allowed`);
  return token;
}

/** When a result is accepted: no older than `maxAgeSeconds`, and no further in the future than `maxSkewSeconds`. */
export interface ResultWindow {
  readonly nowSeconds: number;
  readonly maxAgeSeconds: number;
  readonly maxSkewSeconds: number;
}

export type ResultVerdict =
  | { readonly kind: 'verified'; readonly kid: string; readonly result: AttestationResult }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/** Verifies a result under the verifier's key. Broken tokens and payloads throw `token-invalid`, `attestation-result-invalid` or a JSON code. */
export function verifyAttestationResult(token: string, key: KeyObject, window: ResultWindow): ResultVerdict {
  const verdict = verifyJws(token, key, { typ: EAR_TYP, maxBytes: EAR_BYTES_MAX });
  if (verdict.kind === 'refused') return verdict;
  const result = parsePayload(verdict.payload);
  assertConsistent(result);
  const age = window.nowSeconds - result.issuedAt;
  if (age > window.maxAgeSeconds) {
    return {
      kind: 'refused',
      reasons: [`the result is ${age} seconds old, at most ${window.maxAgeSeconds} are allowed`],
    };
  }
  if (-age > window.maxSkewSeconds) {
    return { kind: 'refused', reasons: [`the result was issued ${-age} seconds in the future`] };
  }
  return { kind: 'verified', kid: verdict.header.kid, result };
}

/** What a result says that the caller signed itself a moment ago; its signature is not verified. */
export function ownAttestationResult(token: string): AttestationResult {
  return parsePayload(parseBase64url(token.split('.')[1] ?? '', 'attestation result'));
}

function documentOf(result: AttestationResult): Json {
  return {
    eat_profile: EAR_PROFILE,
    eat_nonce: toBase64url(result.nonce),
    iat: result.issuedAt,
    sub: result.subject,
    'ear.verifier-id': { ...result.verifier },
    submods: {
      [SUBMODULE]: {
        'ear.status': result.status,
        'ear.trustworthiness-vector': { ...result.vector },
        'ear.appraisal-policy-id': result.policyId,
        'edgekeep.tier': result.tier,
        'edgekeep.pcrs': result.pcrs,
        'edgekeep.pcr-digest': result.pcrDigest,
        'edgekeep.reset-count': result.resetCount,
        'edgekeep.reasons': result.reasons.map((reason) => ({ ...reason })),
        // A result without them is the same as before they existed.
        ...(result.tierReasons === undefined ? {} : { 'edgekeep.tier-reasons': result.tierReasons }),
        'edgekeep.layers': result.layers?.map((layer) => ({ ...layer })),
      },
    },
  };
}

function parsePayload(payload: Uint8Array): AttestationResult {
  const document = parseCanonicalJson(payload, schema, 'attestation result', 'attestation-result-invalid');
  const submodule = document.submods[SUBMODULE];
  return {
    issuedAt: document.iat,
    verifier: document['ear.verifier-id'],
    nonce: parseBase64url(document.eat_nonce, 'attestation result nonce'),
    subject: document.sub,
    status: submodule['ear.status'],
    vector: submodule['ear.trustworthiness-vector'],
    policyId: submodule['ear.appraisal-policy-id'],
    tier: submodule['edgekeep.tier'],
    pcrDigest: submodule['edgekeep.pcr-digest'],
    pcrs: submodule['edgekeep.pcrs'],
    resetCount: submodule['edgekeep.reset-count'],
    reasons: submodule['edgekeep.reasons'],
    ...(submodule['edgekeep.tier-reasons'] === undefined ? {} : { tierReasons: submodule['edgekeep.tier-reasons'] }),
    ...(submodule['edgekeep.layers'] === undefined ? {} : { layers: submodule['edgekeep.layers'] }),
  };
}

// The draft, section 3.2: a status never claims more than its vector.
function assertConsistent({ status, vector }: AttestationResult): void {
  const worst = statusOfVector(vector);
  if (trustStatuses.indexOf(status) < trustStatuses.indexOf(worst)) {
    throw invalid(`its status is ${status} and its vector is ${worst}`);
  }
}

function invalid(problem: string): CoreError {
  return new CoreError('attestation-result-invalid', `attestation result: ${problem}`);
}
