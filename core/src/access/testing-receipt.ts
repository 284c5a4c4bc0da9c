// For tests: a log, a publisher, a verifier and two witnesses with keys from seeds, and a receipt made with them.
import { createPrivateKey, hash, type KeyObject } from 'node:crypto';
import { type AttestationResult, signAttestationResult } from '../attest/ear.ts';
import { signCheckpoint } from '../audit/checkpoint.ts';
import { cosign } from '../audit/cosignature.ts';
import { encodeAuditEntry } from '../audit/entry.ts';
import { leafHash, makeInclusionProof, nodeHash } from '../audit/merkle.ts';
import { encodeNote, type NoteSigner, parseNote, type VerifierKey, verifierKey } from '../audit/note.ts';
import { encodeTlogProof } from '../audit/proof.ts';
import { witnessPolicy } from '../audit/quorum.ts';
import { appendLeaves, edgeRoot, emptyEdge } from '../audit/tree-edge.ts';
import { toHex, utf8 } from '../bytes.ts';
import { encodeManifest, manifestDigest, type ModelManifest } from '../model/manifest.ts';
import { signModel } from '../model/signature/sign.ts';
import { signerFromKey } from '../signer.ts';
import { type KeyRelease, keyReleasedEntry } from './key-release.ts';
import type { ReceiptParts } from './receipt.ts';
import { always, alwaysLog, type Trust } from './trust.ts';

export const releasedAtMs = 1_800_000_000_000;

/** An Ed25519 key whose seed is 32 times `seed`. */
export function testEd25519(seed: number): KeyObject {
  const prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
  return createPrivateKey({ key: Buffer.concat([prefix, Buffer.alloc(32, seed)]), format: 'der', type: 'pkcs8' });
}

/** A P-256 key whose scalar is 32 times `seed`. */
export function testP256(seed: number): KeyObject {
  const prefix = Buffer.from('30310201010420', 'hex');
  const suffix = Buffer.from('a00a06082a8648ce3d030107', 'hex');
  return createPrivateKey({
    key: Buffer.concat([prefix, Buffer.alloc(32, seed), suffix]),
    format: 'der',
    type: 'sec1',
  });
}

export const testLogSigner: NoteSigner = { name: 'hub.example/audit', signer: signerFromKey(testEd25519(1)) };
export const testLogKey: VerifierKey = verifierKey(testLogSigner.name, testLogSigner.signer.publicKey, 'ed25519');
export const testWitnesses: readonly NoteSigner[] = [
  { name: 'hub.example/device/press-9', signer: signerFromKey(testEd25519(2)) },
  { name: 'hub.example/device/press-8', signer: signerFromKey(testEd25519(3)) },
];
export const testPublisher = signerFromKey(testP256(4));
const testVerifier = signerFromKey(testP256(5));

export function testTrust(quorum = 1): Trust {
  const witnesses = testWitnesses.map(({ name, signer }) => verifierKey(name, signer.publicKey, 'cosignature-v1'));
  return {
    logs: [alwaysLog(testLogKey)],
    attestationKeys: [always(testVerifier.publicKey)],
    publisherKeys: [always(testPublisher.publicKey)],
    policy: witnessPolicy(witnesses, quorum),
  };
}

/** What a test changes in an otherwise valid receipt. */
export interface ReceiptChanges {
  readonly release?: Partial<KeyRelease>;
  readonly result?: Partial<AttestationResult>;
  readonly manifest?: Partial<ModelManifest>;
  /** The manifest in the receipt, if it is not the released one. */
  readonly shownManifest?: Uint8Array;
  readonly atMs?: number;
  readonly entryKind?: string;
  readonly cosigners?: readonly NoteSigner[];
}

export async function testReceiptParts(changes: ReceiptChanges = {}): Promise<ReceiptParts> {
  const atMs = changes.atMs ?? releasedAtMs;
  const manifest = encodeManifest({ ...baseManifest, ...changes.manifest });
  const shown = changes.shownManifest ?? manifest;
  const attestationResult = await signAttestationResult(
    { ...baseResult, ...changes.result },
    testVerifier,
    'attestation-1',
  );
  const release = { ...releaseOf(manifest, attestationResult), ...changes.release };
  const entry = encodeAuditEntry({
    type: 'edgekeep-audit-entry/v1',
    ...keyReleasedEntry(release, atMs, 'hub'),
    ...(changes.entryKind === undefined ? {} : { kind: changes.entryKind }),
  });
  return {
    entry,
    attestationResult,
    manifest: shown,
    modelSignature: await signed(manifest, changes.manifest?.files ?? baseManifest.files),
    proof: await proven(entry, changes.cosigners ?? testWitnesses),
  };
}

const baseManifest: ModelManifest = {
  type: 'edgekeep-model-manifest/v1',
  name: 'surface',
  version: '1.2.0',
  files: [{ path: 'model.onnx', role: 'primary', mediaType: 'application/onnx', size: 5, sha256: 'aa'.repeat(32) }],
};

const baseResult: AttestationResult = {
  issuedAt: releasedAtMs / 1000 - 2,
  verifier: { developer: 'edgekeep', build: '0.1.0' },
  nonce: Buffer.alloc(32, 9),
  subject: 'press-7',
  status: 'affirming',
  vector: { 'instance-identity': 2, executables: 3, hardware: 2 },
  policyId: 'press-line 3',
  tier: 'tpm',
  pcrDigest: 'cd'.repeat(32),
  pcrs: [0, 2, 4, 7, 14],
  resetCount: 4,
  reasons: [],
};

function releaseOf(manifest: Uint8Array, attestationResult: string): KeyRelease {
  const digest = toHex(manifestDigest(manifest));
  const seconds = releasedAtMs / 1000;
  return {
    device: { id: 'press-7', tier: 'tpm', certificate: '11'.repeat(32) },
    model: { name: 'surface', version: '1.2.0', manifestDigest: digest },
    policy: { name: 'press-line', digest: '22'.repeat(32) },
    lease: {
      id: 'AAECAwQFBgcICQoLDA0ODw',
      deviceId: 'press-7',
      model: 'surface',
      version: '1.2.0',
      manifestDigest: digest,
      notBefore: seconds,
      renewAfter: seconds + 1800,
      notAfter: seconds + 3600,
    },
    attestationResult: hash('sha256', attestationResult, 'hex'),
  };
}

function signed(manifest: Uint8Array, files: ModelManifest['files']): Promise<Uint8Array> {
  const resources = [
    { path: 'manifest.json', digest: toHex(manifestDigest(manifest)), range: undefined },
    ...files.map(({ path, sha256 }) => ({ path, digest: sha256, range: undefined })),
  ];
  const serialization = { hash: 'sha256', shardSize: undefined, allowSymlinks: false, ignorePaths: [] } as const;
  return signModel({ name: 'surface', serialization, resources }, testPublisher);
}

/** The entry as number 5 of a log of 8. */
async function proven(entry: Uint8Array, cosigners: readonly NoteSigner[]): Promise<Uint8Array> {
  const leaves = Array.from({ length: 8 }, (_, at) => leafHash(at === 5 ? entry : utf8(`entry ${at}`)));
  const node = (level: number, index: number): Uint8Array =>
    level === 0
      ? (leaves[index] ?? new Uint8Array(0))
      : nodeHash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1));
  const { edge } = appendLeaves(emptyEdge, leaves);
  const note = parseNote(await signCheckpoint({ size: edge.size, root: edgeRoot(edge) }, testLogSigner));
  const seconds = releasedAtMs / 1000 + 10;
  const lines = await Promise.all(cosigners.map((witness) => cosign(note.text, seconds, witness)));
  const cosignatures = lines.flat();
  const checkpoint = encodeNote({ ...note, signatures: [...note.signatures, ...cosignatures] });
  return encodeTlogProof({ index: 5, hashes: makeInclusionProof(5, 8, node), checkpoint });
}
