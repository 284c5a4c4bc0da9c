// The release receipt: one file that proves, offline and years later, why one key was given to one device (spec/receipt.md). It joins the
// logged entry, the attestation result, the signed model and the log's proof; none of them is trusted alone.
import { sha256Hex } from '../digest.ts';
import { z } from 'zod';
import { type AttestationResult, verifyAttestationResult } from '../attest/ear.ts';
import { parseCheckpoint } from '../audit/checkpoint.ts';
import { type AuditEntry, parseAuditEntry } from '../audit/entry.ts';
import { leafHash } from '../audit/merkle.ts';
import { parseNote, signaturesBy } from '../audit/note.ts';
import { assertNesting } from '../nesting.ts';
import { meetsPolicy, withoutReceiver, witnessesOf } from '../audit/quorum.ts';
import { parseTlogProof, type ProofVerdict, verifyTlogProof } from '../audit/proof.ts';
import { isValidAt, type KeyValidity } from '../authority/key-list.ts';
import { parseBase64url, parseUtf8, toBase64url, toHex, utf8 } from '../bytes.ts';
import { CoreError } from '../error.ts';
import { encodeCanonicalJson, type Json, parseCanonicalJson, parseValue } from '../json.ts';
import { affirmedRelease, releasePolicyDigest, releasePolicyReasons } from '../model/release-policy.ts';
import { type ReleaseVerdict, verifyModelRelease } from '../model/release.ts';
import { type KeyRelease, keyReleasedKind, keyReleaseSchema, releaseContradictions } from './key-release.ts';
import type { Trust, TrustedPublisher } from './trust.ts';

/** Room for a proof with the cosignatures of 16 witnesses, each by Ed25519 and by ML-DSA-44 (3.6 kB). */
export const RECEIPT_BYTES_MAX = 128 * 1024;
/** A receipt above this names manifest and bundle by their digests. Of the proof, which cosignatures make long, only the beginning counts. */
const RECEIPT_WITH_MODEL_BYTES_MAX = 16 * 1024;
const PROOF_COUNTED_BYTES_MAX = 8 * 1024;

/** The maximum age of an attestation result that releases a key: a device attests for each release. */
const RESULT_AGE_SECONDS_MAX = 3600;
const RESULT_SKEW_SECONDS_MAX = 300;

const type = 'edgekeep-release-receipt/v2';
/** Of releases from before the entry named the evidence. */
const formerType = 'edgekeep-release-receipt/v1';
const text = z.string().max(RECEIPT_BYTES_MAX);
/** Marks a part that is left out because the receipt would be too large. */
const detached = z.strictObject({ sha256: z.string().regex(/^[0-9a-f]{64}$/) });
const schema = z.strictObject({
  type: z.enum([type, formerType]),
  entry: text,
  attestationResult: text,
  manifest: z.union([text, detached]),
  modelSignature: z.union([detached, z.record(z.string(), z.custom<Json | undefined>())]),
  proof: text,
});

/** A receipt's parts before they are joined. */
export interface ReceiptParts {
  /** The bytes of the audit entry of kind `key-released`. */
  readonly entry: Uint8Array;
  /** Whether the entry names the evidence, for a caller that has just made it; left out: the entry is read. */
  readonly namesEvidence?: boolean | undefined;
  /** The attestation result, a JWT. */
  readonly attestationResult: string;
  readonly manifest: Uint8Array;
  /** The OMS bundle, as JSON bytes. */
  readonly modelSignature: Uint8Array;
  /** The tlog-proof, with the cosignatures that its checkpoint has. */
  readonly proof: Uint8Array;
}

/** Manifest and OMS bundle that a large receipt names by digest only. */
export interface DetachedModel {
  readonly manifest: Uint8Array;
  readonly modelSignature: Uint8Array;
}

export interface ReceiptSummary {
  /** 2, or 1: nothing in it leads to the evidence. */
  readonly version: 1 | 2;
  readonly release: KeyRelease;
  /** Unix milliseconds, by the hub's clock. */
  readonly at: number;
  readonly attestation: AttestationResult;
  /** SHA-256 of the publisher's PEM text, hex. */
  readonly publisher: string;
  readonly log: Extract<ProofVerdict, { kind: 'verified' }>;
  /** Why it is a weaker receipt: its fleet could not meet the witness policy, and the trust file takes that. Undefined for a whole one. */
  readonly weaker: string | undefined;
}

export type ReceiptVerdict =
  | { readonly kind: 'verified'; readonly summary: ReceiptSummary }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

/**
 * Builds a receipt. Manifest and bundle are replaced by their SHA-256 when the file would exceed 16 KiB, in which a proof counts at most 8
 * KiB; if it is still larger than a reader takes, throws `receipt-invalid`.
 */
export function encodeReceipt(parts: ReceiptParts): Uint8Array {
  const { namesEvidence = parseAuditEntry(parts.entry).data['evidence'] !== undefined } = parts;
  const common = {
    type: namesEvidence ? type : formerType,
    entry: toBase64url(parts.entry),
    attestationResult: parts.attestationResult,
    proof: parseUtf8(parts.proof, 'tlog proof'),
  };
  const uncounted = Math.max(0, parts.proof.length - PROOF_COUNTED_BYTES_MAX);
  if (parts.manifest.length + parts.modelSignature.length < RECEIPT_WITH_MODEL_BYTES_MAX) {
    const bundle: Json = JSON.parse(parseUtf8(parts.modelSignature, 'model signature'));
    const whole = encodeCanonicalJson({ ...common, manifest: toBase64url(parts.manifest), modelSignature: bundle });
    if (whole.length - uncounted <= RECEIPT_WITH_MODEL_BYTES_MAX && whole.length <= RECEIPT_BYTES_MAX) return whole;
  }
  const bytes = encodeCanonicalJson({
    ...common,
    manifest: { sha256: sha256Hex(parts.manifest) },
    modelSignature: { sha256: sha256Hex(parts.modelSignature) },
  });
  assertLength(bytes);
  return bytes;
}

/**
 * Verifies a receipt with public keys alone: no clock, no network. Every reason is named. Bytes that are no receipt throw `receipt-invalid`
 * or the code of the part that is broken. With `later` the publisher's quorum is not asked for: a device gets its receipt before others cosign.
 */
export function verifyReceipt(
  bytes: Uint8Array,
  trust: Trust,
  given?: DetachedModel,
  witnesses: 'now' | 'later' = 'now',
): ReceiptVerdict {
  const receipt = parseReceipt(bytes);
  const { entry, release } = parseRelease(receipt.entry);
  assertVersion(receipt.version, release);
  const model = receipt.model ?? given;

  const log = verifyLog(receipt, entry, release, trust);
  const attestation = verifyAttestation(receipt.attestationResult, entry, release, trust);
  const publication: ReleaseVerdict | MissingModel =
    model === undefined
      ? { kind: 'missing' }
      : verifyModelRelease({
          bundleBytes: model.modelSignature,
          manifestBytes: model.manifest,
          trustedKeys: trust.publisherKeys.filter((key) => publisherCounts(key, release, entry.at)),
        });
  const reasons = [
    ...(log.kind === 'refused' ? log.reasons.map((reason) => `log: ${reason}`) : []),
    ...releaseContradictions(release, entry.at).map((reason) => `entry: ${reason}`),
    ...(attestation.kind === 'refused' ? attestation.reasons.map((reason) => `attestation: ${reason}`) : []),
    ...modelReasons(publication, release).map((reason) => `model: ${reason}`),
    ...publisherReasons(publication, { release, attestation, log, trust, witnesses }).map(
      (reason) => `publisher: ${reason}`,
    ),
  ];
  if (
    reasons.length > 0 ||
    log.kind !== 'verified' ||
    attestation.kind !== 'verified' ||
    publication.kind !== 'verified'
  ) {
    return { kind: 'refused', reasons };
  }
  return {
    kind: 'verified',
    summary: {
      version: receipt.version,
      release,
      at: entry.at,
      attestation: attestation.result,
      publisher: publication.signerFingerprint,
      log,
      weaker: log.weaker,
    },
  };
}

/**
 * What a device that holds a receipt has seen: the release, and a checkpoint of the log. Nothing is verified: the caller verifies the checkpoint's
 * signature. Throws as `verifyReceipt` does.
 */
export function seenByReceipt(bytes: Uint8Array): {
  readonly model: string;
  readonly version: string;
  readonly checkpoint: Uint8Array;
} {
  const receipt = parseReceipt(bytes);
  const { name: model, version } = parseRelease(receipt.entry).release.model;
  return { model, version, checkpoint: parseTlogProof(receipt.proof).checkpoint };
}

/** Whether manifest and bundle are in the receipt itself. Throws as `verifyReceipt` does. */
export function holdsModel(bytes: Uint8Array): boolean {
  return parseReceipt(bytes).model !== undefined;
}

// After its end a publisher counts for what it published before: the hub's log had these manifests, the trust file names them.
function publisherCounts(key: TrustedPublisher, { model }: KeyRelease, atMs: number): boolean {
  return isValidAt(key, Math.floor(atMs / 1_000)) || (key.manifests ?? []).includes(model.manifestDigest);
}

interface MissingModel {
  readonly kind: 'missing';
}

type AttestationVerdict =
  | { readonly kind: 'verified'; readonly result: AttestationResult }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

type LogVerdict =
  | (Extract<ProofVerdict, { kind: 'verified' }> & { readonly weaker?: string | undefined })
  | Extract<ProofVerdict, { kind: 'refused' }>;

/** The log is chosen by the checkpoint's name and key; each log has its time. The receiver of the key is no witness of it. */
function verifyLog(
  { proof, entry: bytes }: Receipt,
  { at }: AuditEntry,
  { device, witnessing }: KeyRelease,
  { logs, policy: fleet, whenUnmet }: Trust,
): LogVerdict {
  const policy = withoutReceiver(fleet, device.id);
  const parsed = parseTlogProof(proof);
  const note = parseNote(parsed.checkpoint);
  const { origin } = parseCheckpoint(note.text);
  const named = logs.filter(({ key }) => key.name === origin);
  const log = named.find(({ key }) => signaturesBy(note, key).length > 0) ?? named[0];
  if (log === undefined) return { kind: 'refused', reasons: [`the log ${JSON.stringify(origin)} is not trusted`] };
  const whole = verifyTlogProof(parsed, leafHash(bytes), log.key, policy);
  // The log itself says that its fleet could not: a verifier may take that, and names it.
  const mayBeWeaker = whole.kind === 'refused' && whenUnmet === 'name-weaker' && witnessing?.reachable === false;
  // None is asked for; a false cosignature of a known one is refused all the same.
  const verdict = mayBeWeaker ? verifyTlogProof(parsed, leafHash(bytes), log.key, { ...policy, quorum: 0 }) : whole;
  if (verdict.kind === 'refused') return mayBeWeaker ? whole : verdict;
  // A log vouches for what the log before it had, too: only its end counts here.
  const inForce = isValidAt({ ...log, fromSeconds: 0 }, Math.floor(at / 1_000));
  const reasons = inForce ? [] : [`the entry is of a time at which ${timeText(log)}`];
  // Who has the key writes any time into an entry: only the witnesses' clocks count.
  const inTime = verdict.cosignatures.filter(({ seconds }) => seconds < (log.untilSeconds ?? Infinity));
  const needed = Math.max(1, policy.quorum);
  if (log.compromised && (inTime.length === 0 || !meetsPolicy(policy, inTime)))
    reasons.push(`the log's key was stolen: ${inTime.length} of ${needed} witnesses cosigned before its end`);
  if (reasons.length > 0) return { kind: 'refused', reasons };
  const weaker = whole.kind === 'refused' ? whole.reasons.join('; ') : undefined;
  return weaker === undefined ? verdict : { ...verdict, weaker };
}

function timeText({ fromSeconds, untilSeconds }: KeyValidity): string {
  const text = (seconds: number) => new Date(seconds * 1_000).toISOString();
  const end = untilSeconds === undefined ? '' : ` until ${text(untilSeconds)}`;
  return `the key did not count: it counts from ${text(fromSeconds)}${end}`;
}

/** The result must be the logged one, signed by the verifier, fresh when the key was released, and about this device. */
function verifyAttestation(token: string, { at }: AuditEntry, release: KeyRelease, trust: Trust): AttestationVerdict {
  if (sha256Hex(utf8(token)) !== release.attestationResult) {
    return { kind: 'refused', reasons: ['the result is not the one that was logged'] };
  }
  const window = {
    nowSeconds: Math.floor(at / 1000),
    maxAgeSeconds: RESULT_AGE_SECONDS_MAX,
    maxSkewSeconds: RESULT_SKEW_SECONDS_MAX,
  };
  const verdicts = trust.attestationKeys.map((key) => {
    return { key, verdict: verifyAttestationResult(token, key.publicKey, window) };
  });
  const verified = verdicts.find(({ verdict }) => verdict.kind === 'verified');
  if (verified?.verdict.kind !== 'verified') {
    return {
      kind: 'refused',
      reasons: verdicts.flatMap(({ verdict }) => (verdict.kind === 'refused' ? verdict.reasons : [])),
    };
  }
  const { result } = verified.verdict;
  const reasons: string[] = [];
  if (!isValidAt(verified.key, result.issuedAt))
    reasons.push(`the result is of a time at which ${timeText(verified.key)}`);
  // Who has the key dates a result back: only the log's clock shows that it is from before the theft.
  else if (verified.key.compromised && !isValidAt(verified.key, window.nowSeconds))
    reasons.push(`the result's key was stolen, and the entry is of a time at which ${timeText(verified.key)}`);
  if (result.subject !== release.device.id)
    reasons.push(`the result is about ${result.subject}, not ${release.device.id}`);
  if (result.tier !== release.device.tier)
    reasons.push(`the result says ${result.tier}, the entry ${release.device.tier}`);
  if (result.status === 'contraindicated') reasons.push('the device was not healthy: the result is contraindicated');
  return reasons.length > 0 ? { kind: 'refused', reasons } : { kind: 'verified', result };
}

/** The publisher must have signed the manifest with the logged digest, and it must belong to the logged model. */
function modelReasons(publication: ReleaseVerdict | MissingModel, { model }: KeyRelease): readonly string[] {
  if (publication.kind === 'missing') {
    return ['manifest and signature are not in the receipt: give the files beside it'];
  }
  if (publication.kind === 'refused') return publication.reasons.map(({ message }) => message);
  const { manifest } = publication;
  const reasons: string[] = [];
  if (toHex(publication.manifestDigest) !== model.manifestDigest)
    reasons.push('the manifest is not the one that was logged');
  if (manifest.name !== model.name || manifest.version !== model.version) {
    reasons.push(
      `the manifest is of ${manifest.name} ${manifest.version}, the entry of ${model.name} ${model.version}`,
    );
  }
  return reasons;
}

interface Released {
  readonly release: KeyRelease;
  readonly attestation: AttestationVerdict;
  readonly log: ProofVerdict;
  readonly trust: Pick<Trust, 'policy'>;
  readonly witnesses: 'now' | 'later';
}

/** The publisher's release policy, as the hub named it, and asked with what the receipt proves of the device. */
function publisherReasons(
  publication: ReleaseVerdict | MissingModel,
  { release, attestation, log, trust, witnesses }: Released,
): readonly string[] {
  if (publication.kind !== 'verified') return [];
  const { releasePolicy: policy } = publication.manifest;
  const named = release.releasePolicy;
  if (policy === undefined) {
    return named === undefined ? [] : ['the entry names a release policy, and the publisher signed none'];
  }
  const digest = releasePolicyDigest(policy);
  if (named?.digest !== digest) {
    return [`the publisher signed the release policy ${digest}, the entry names ${named?.digest ?? 'none'}`];
  }
  const receiver = `/device/${release.device.id}`;
  const cosignatures = log.kind === 'verified' ? log.cosignatures : [];
  const ofOthers = cosignatures.filter(({ witness }) => !witness.endsWith(receiver));
  const facts = {
    tier: release.device.tier,
    release: attestation.kind === 'verified' ? affirmedRelease(attestation.result) : undefined,
    maker: named.maker,
    group: named.group,
    cosigners: witnesses === 'later' ? undefined : witnessesOf(trust.policy, ofOthers),
  };
  return releasePolicyReasons(policy, facts).map(({ message }) => message);
}

interface Receipt {
  readonly version: 1 | 2;
  readonly entry: Uint8Array;
  readonly attestationResult: string;
  /** Undefined when the receipt names them by digest only. */
  readonly model: DetachedModel | undefined;
  readonly proof: Uint8Array;
}

function parseReceipt(bytes: Uint8Array): Receipt {
  assertLength(bytes);
  assertNesting(bytes, 'release receipt', 'receipt-invalid');
  const receipt = parseCanonicalJson(bytes, schema, 'release receipt', 'receipt-invalid');
  const { manifest, modelSignature } = receipt;
  const parts = {
    version: receipt.type === type ? 2 : 1,
    entry: parseBase64url(receipt.entry, 'entry'),
    attestationResult: receipt.attestationResult,
    proof: utf8(receipt.proof),
  } as const;
  const isDetached = 'sha256' in modelSignature;
  if ((typeof manifest !== 'string') !== isDetached) {
    throw new CoreError('receipt-invalid', 'release receipt: manifest and signature are both there or both left out');
  }
  if (typeof manifest !== 'string') return { ...parts, model: undefined };
  return {
    ...parts,
    model: { manifest: parseBase64url(manifest, 'manifest'), modelSignature: utf8(JSON.stringify(modelSignature)) },
  };
}

function parseRelease(bytes: Uint8Array): { readonly entry: AuditEntry; readonly release: KeyRelease } {
  const entry = parseAuditEntry(bytes);
  if (entry.kind !== keyReleasedKind) {
    throw new CoreError(
      'receipt-invalid',
      `release receipt: the entry is of kind ${entry.kind}, not ${keyReleasedKind}`,
    );
  }
  return { entry, release: parseValue(entry.data, keyReleaseSchema, 'key release', 'receipt-invalid') };
}

// An older text on a newer entry would hide from its reader that the evidence is known; a newer one would promise what is not there.
function assertVersion(version: Receipt['version'], { evidence }: KeyRelease): void {
  if ((version === 2) === (evidence !== undefined)) return;
  const found = evidence === undefined ? 'does not name' : 'names';
  throw new CoreError('receipt-invalid', `release receipt: version ${version}, and its entry ${found} the evidence`);
}

function assertLength(bytes: Uint8Array): void {
  if (bytes.length > RECEIPT_BYTES_MAX) {
    throw new CoreError(
      'receipt-invalid',
      `a receipt of ${bytes.length} bytes, at most ${RECEIPT_BYTES_MAX} are allowed`,
    );
  }
}
