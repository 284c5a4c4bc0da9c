// The sigstore bundle as OMS uses it (protobuf-specs sigstore_bundle.proto, JSON form): one DSSE envelope and its verification material.
// Versions 0.1 to 0.3 are read; they differ only in what the keyless method must carry. 0.3 is written.
import { z } from 'zod';
import { parseUtf8, toBase64, utf8 } from '../../bytes.ts';
import { CoreError } from '../../error.ts';
import { parseJson, parseValue } from '../../json.ts';
import { parseEitherBase64 } from './base64.ts';
import type { Envelope } from './dsse.ts';
import type { KeyIdentifier } from './key-mode.ts';
import { refused, type SignatureRefused } from './reason.ts';

/** 200,000 resources of ordinary names in base64; a larger file is not a signature. */
export const BUNDLE_LENGTH_MAX = 64 * 1024 * 1024;
/** A publisher's chain has two or three certificates; this limits path building. */
const CHAIN_LENGTH_MAX = 10;
/** Room for ML-DSA-87, whose 4627 bytes are 6172 characters. */
const SIGNATURE_CHARACTERS_MAX = 8192;

const versionWritten = 'application/vnd.dev.sigstore.bundle.v0.3+json';
const versionsRead: readonly string[] = [
  'application/vnd.dev.sigstore.bundle+json;version=0.1',
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json;version=0.3',
  versionWritten,
];

export type VerificationMaterial =
  | ({ readonly kind: 'key' } & KeyIdentifier)
  /** DER certificates, the signer's first. */
  | { readonly kind: 'certificate-chain'; readonly certificates: readonly Uint8Array[] };

export interface Bundle {
  readonly material: VerificationMaterial;
  readonly envelope: Envelope;
}

const certificateSchema = z.strictObject({ rawBytes: z.string() });

const sig = z.string().min(1).max(SIGNATURE_CHARACTERS_MAX);
const firstSignature = z.strictObject({ sig, keyid: z.string().nullish() });
/** It names its key. */
const secondSignature = z.strictObject({ sig, keyid: z.string().regex(/^[0-9a-f]{64}$/) });

const bundleSchema = z.strictObject({
  mediaType: z.string(),
  verificationMaterial: z.strictObject({
    publicKey: z
      .strictObject({
        hint: z.string().max(1024).nullish(),
        rawBytes: z.string().nullish(),
        keyDetails: z.string().nullish(),
      })
      .nullish(),
    x509CertificateChain: z
      .strictObject({ certificates: z.array(certificateSchema).min(1).max(CHAIN_LENGTH_MAX) })
      .nullish(),
    certificate: certificateSchema.nullish(),
    // Witnesses of the keyless method; they prove nothing for the methods read here.
    tlogEntries: z.array(z.unknown()).max(32).nullish(),
    timestampVerificationData: z.unknown().optional(),
  }),
  dsseEnvelope: z.strictObject({
    payloadType: z.string().max(200),
    payload: z.string(),
    // sigstore_bundle.proto: exactly one signature. Ours may have a second one, of ML-DSA-65 (spec/model-signature.md, "Two keys").
    signatures: z.union([z.tuple([firstSignature]), z.tuple([firstSignature, secondSignature])]),
  }),
});

/** Throws `signature-bundle-invalid` (or a JSON or encoding code) for anything malformed; refuses versions and methods it does not know. */
export function parseBundle(
  bytes: Uint8Array,
): { readonly kind: 'parsed'; readonly bundle: Bundle } | SignatureRefused {
  if (bytes.length > BUNDLE_LENGTH_MAX) {
    throw new CoreError(
      'bytes-too-long',
      `a signature bundle of ${bytes.length} bytes, at most ${BUNDLE_LENGTH_MAX} are read`,
    );
  }
  const what = 'the signature bundle';
  const head = parseJson(bytes, z.looseObject({ mediaType: z.string().max(200) }), what, 'signature-bundle-invalid');
  if (!versionsRead.includes(head.mediaType)) {
    return refused(
      'unknown-version',
      `expected a sigstore bundle v0.1 to v0.3, found ${JSON.stringify(head.mediaType)}`,
    );
  }
  const { verificationMaterial, dsseEnvelope } = parseValue(head, bundleSchema, what, 'signature-bundle-invalid');
  const material = parseMaterial(verificationMaterial);
  if (material.kind === 'refused') return material;
  const [signature, second] = dsseEnvelope.signatures;
  const envelope = {
    payloadType: dsseEnvelope.payloadType,
    payload: parseEitherBase64(dsseEnvelope.payload, 'dsseEnvelope.payload'),
    signature: parseEitherBase64(signature.sig, 'dsseEnvelope.signatures.sig'),
    postQuantum: second && {
      keyId: second.keyid,
      signature: parseEitherBase64(second.sig, 'dsseEnvelope.signatures.sig'),
    },
  };
  return { kind: 'parsed', bundle: { material, envelope } };
}

function parseMaterial(
  material: z.infer<typeof bundleSchema>['verificationMaterial'],
): VerificationMaterial | SignatureRefused {
  const { publicKey, x509CertificateChain, certificate } = material;
  const given = [publicKey, x509CertificateChain, certificate].filter((one) => one !== null && one !== undefined);
  if (given.length !== 1) {
    throw new CoreError(
      'signature-bundle-invalid',
      'verificationMaterial: expected one of publicKey, x509CertificateChain',
    );
  }
  if (publicKey) {
    const rawBytes = publicKey.rawBytes ? parseEitherBase64(publicKey.rawBytes, 'publicKey.rawBytes') : undefined;
    return { kind: 'key', hint: publicKey.hint || undefined, rawBytes };
  }
  if (x509CertificateChain) {
    const certificates = x509CertificateChain.certificates.map(({ rawBytes }) =>
      parseEitherBase64(rawBytes, 'x509CertificateChain.certificates'),
    );
    return { kind: 'certificate-chain', certificates };
  }
  return refused(
    'unsupported-method',
    'a keyless sigstore bundle; this product verifies the methods key and certificate',
  );
}

export function encodeBundle({ material, envelope }: Bundle): Uint8Array {
  return utf8(
    JSON.stringify({
      mediaType: versionWritten,
      verificationMaterial: { ...encodeMaterial(material), tlogEntries: [] },
      dsseEnvelope: {
        payload: toBase64(envelope.payload),
        payloadType: envelope.payloadType,
        signatures: [{ sig: toBase64(envelope.signature), keyid: '' }, ...secondOf(envelope)],
      },
    }),
  );
}

function secondOf({ postQuantum }: Envelope) {
  return postQuantum === undefined ? [] : [{ sig: toBase64(postQuantum.signature), keyid: postQuantum.keyId }];
}

/** The same bundle with one signature, for readers of the version before. */
export function withoutSecondSignature(bundle: string): string {
  const parsed = parseBundle(utf8(bundle));
  if (parsed.kind === 'refused' || parsed.bundle.envelope.postQuantum === undefined) return bundle;
  const { material, envelope } = parsed.bundle;
  return parseUtf8(encodeBundle({ material, envelope: { ...envelope, postQuantum: undefined } }), 'bundle');
}

function encodeMaterial(material: VerificationMaterial) {
  switch (material.kind) {
    case 'key':
      return { publicKey: { hint: material.hint } };
    case 'certificate-chain':
      return {
        x509CertificateChain: { certificates: material.certificates.map((der) => ({ rawBytes: toBase64(der) })) },
      };
  }
}
