// Signs a model: digests to a statement, the statement to an OMS v1.0 bundle, by key or with a certificate chain.
import { CoreError } from '../../error.ts';
import { parseForeignCertificate, publicKeyOf } from '../../identity/certificate.ts';
import type { Signer } from '../../signer.ts';
import { encodeBundle, type VerificationMaterial } from './bundle.ts';
import { signEnvelope } from './dsse.ts';
import { assertSigningKey, keyFingerprint } from './key-mode.ts';
import type { Serialization } from './serialization.ts';
import { encodeStatement, type Resource } from './statement.ts';

export interface ModelToSign {
  /** The folder's or file's base name. */
  readonly name: string;
  readonly serialization: Serialization;
  readonly resources: readonly Resource[];
}

/**
 * The bundle's bytes. With `chain`, DER certificates with the signer's first, it uses the certificate method; without it the hint names the
 * key. A signer with a key of ML-DSA-65 makes two signatures.
 */
export async function signModel(
  { name, serialization, resources }: ModelToSign,
  signer: Signer,
  chain?: readonly Uint8Array[],
): Promise<Uint8Array> {
  assertSigningKey(signer.publicKey);
  const envelope = await signEnvelope(encodeStatement(name, serialization, resources), signer);
  return encodeBundle({ material: materialOf(signer, chain), envelope });
}

function materialOf(signer: Signer, chain: readonly Uint8Array[] | undefined): VerificationMaterial {
  if (chain === undefined) return { kind: 'key', hint: keyFingerprint(signer.publicKey), rawBytes: undefined };
  const [leaf] = chain;
  if (leaf === undefined || !publicKeyOf(parseForeignCertificate(leaf)).equals(signer.publicKey)) {
    throw new CoreError('key-invalid', 'the first certificate of the chain must certify the signing key');
  }
  return { kind: 'certificate-chain', certificates: chain };
}
