// The hardware of one device on the line, as issuing needs it: a key for the IDevID with its proof, and the identifier of the device's root
// of trust.
import { createHash, randomBytes } from 'node:crypto';
import type { EndorsementKeyKind } from '@edgekeep/core/tpm/template';
import { attestationKeyOf } from '@edgekeep/core/attest/quote';
import { assertListedAttestationKey } from '@edgekeep/core/tpm/attestation-key-profile';
import { equalBytes } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { equalNames } from '@edgekeep/core/identity/distinguished-name';
import { validateEndorsement } from '@edgekeep/core/identity/endorsement';
import type { ElementKeyUsage } from '@edgekeep/core/identity/idevid';
import { type IdevidProof, idevidProofMessage, verifyIdevidProof } from '@edgekeep/core/attest/idevid-proof';
import { encodeSpki } from '@edgekeep/core/identity/public-key';
import type { Signer } from '@edgekeep/core/signer';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { parsePublic, publicKeyOf as publicKeyOfArea, tpmName } from '@edgekeep/core/tpm/public-area';
import { idevidSigner, type IdevidPlace, writeTokenChain } from '@edgekeep/hardware/pkcs11/token-idevid';
import { defaultKeyLabels } from '@edgekeep/hardware/pkcs11/token-keys';
import { TokenSession } from '@edgekeep/hardware/pkcs11/token-session';
import type { TpmIdentity } from '@edgekeep/hardware/root-of-trust';
import { TpmRootOfTrust } from '@edgekeep/hardware/tpm/tpm-root-of-trust';
import type { TpmAddress } from '@edgekeep/hardware/tpm/transport';

export type HardwarePlace =
  | { readonly kind: 'tpm'; readonly address: TpmAddress; readonly endorsementKey: EndorsementKeyKind }
  | { readonly kind: 'pkcs11'; readonly place: IdevidPlace };

export type Examined =
  | {
      readonly kind: 'genuine';
      /** DER SubjectPublicKeyInfo of the IDevID's key. */
      readonly spki: Uint8Array;
      /** The identifier of the root of trust, hex. */
      readonly rootSha256: string;
      /** Of a token: its other keys, which the manufacturer certifies beside the IDevID. */
      readonly beside: readonly { readonly spki: Uint8Array; readonly usage: ElementKeyUsage }[];
      /** One of the named vendors certified the TPM that holds it. */
      readonly inVerifiedTpm: boolean;
    }
  | { readonly kind: 'refused'; readonly code: string; readonly message: string };

/** Runs `use` with the result and a function to store the certificate, while the hardware is open. */
export async function withHardware<Result>(
  place: HardwarePlace,
  { serialNumber, vendorRoots, nowSeconds }: ExamineOrder,
  use: (examined: Examined, store: (chain: readonly Uint8Array[]) => Promise<'stored' | 'no-room'>) => Promise<Result>,
): Promise<Result> {
  const subject = {
    use: 'manufacture' as const,
    nonce: randomBytes(32),
    operationalSpki: new Uint8Array(0),
    deviceId: serialNumber,
    identity: { kind: 'manufacture' },
  };
  if (place.kind === 'pkcs11') {
    const signer = await madeSigner(place.place);
    const proof = { signature: await signer.sign(idevidProofMessage(subject)) };
    const examined = examineToken(signer, proof, subject, await tokenKeys(place.place));
    return use(examined, async (chain) => ((await writeTokenChain(place.place, chain)) ? 'stored' : 'no-room'));
  }
  await using tpm = await TpmRootOfTrust.open(place.address, { endorsementKey: place.endorsementKey });
  const { publicKey } = await tpm.idevidSigner();
  const proof = await tpm.proveIdevid(idevidProofMessage(subject));
  const identity = await tpm.describe();
  const attestationPublic = parsePublic(identity.attestationPublic);
  assertListedAttestationKey(attestationPublic);
  const attestationKey = attestationKeyOf(attestationPublic, 'endorsement');
  const verdict = verifyIdevidProof(proof, { publicKey, subject, attestationKey });
  const refusal =
    verdict.kind === 'refused' ? verdict : await endorsementProblem(tpm, identity, vendorRoots, nowSeconds);
  const examined: Examined = refusal ?? {
    kind: 'genuine',
    spki: encodeSpki(publicKey),
    rootSha256: digestOf(encodeSpki(publicKeyOfArea(parsePublic(identity.endorsementKey.publicArea)))),
    beside: [],
    inVerifiedTpm: vendorRoots.length > 0,
  };
  // Awaited here: the TPM is closed when this function ends.
  return await use(examined, (chain) => tpm.storeIdevid(chain));
}

export interface ExamineOrder {
  readonly serialNumber: string;
  /** Without any, the TPM is not verified. */
  readonly vendorRoots: readonly Certificate[];
  readonly nowSeconds: number;
}

type Refusal = Extract<Examined, { kind: 'refused' }>;

// The other end could be a program: its vendor certifies that the endorsement key is in a TPM, and the opened credential proves that the
// attestation key is in the same one.
async function endorsementProblem(
  tpm: TpmRootOfTrust,
  { endorsementKey, endorsementChain, attestationPublic }: TpmIdentity,
  vendorRoots: readonly Certificate[],
  atSeconds: number,
): Promise<Refusal | undefined> {
  if (vendorRoots.length === 0) return undefined;
  if (endorsementKey.certificate === undefined)
    return refused('endorsement-certificate-missing', `this TPM has none for its ${endorsementKey.kind} key`);
  const leaf = parseForeignCertificate(endorsementKey.certificate);
  const isRoot = (certificate: Certificate) => equalNames(certificate.issuer, certificate.subject);
  const verdict = validateEndorsement({
    leaf,
    intermediates: endorsementChain.map((der) => parseForeignCertificate(der)),
    known: vendorRoots.filter((each) => !isRoot(each)),
    anchors: vendorRoots.filter(isRoot),
    atSeconds,
  });
  if (verdict.kind === 'refused') return refused('endorsement-refused', verdict.reasons.join('; '));
  const endorsementPublic = parsePublic(endorsementKey.publicArea);
  if (!publicKeyOfArea(endorsementPublic).equals(publicKeyOf(leaf)))
    return refused('endorsement-key-differs', 'the endorsement certificate is one of another key');
  const secret = randomBytes(32);
  const name = tpmName(parsePublic(attestationPublic));
  const { credentialBlob, encryptedSecret } = makeCredential({ endorsementPublic, name, secret, randomBytes });
  if (equalBytes(await tpm.activateCredential(credentialBlob, encryptedSecret), secret)) return undefined;
  return refused('credential-not-activated', 'the attestation key is not in the TPM of this endorsement key');
}

function examineToken(
  { publicKey }: Signer,
  proof: IdevidProof,
  subject: Parameters<typeof idevidProofMessage>[0],
  { signing, agreement }: { readonly signing: Uint8Array; readonly agreement: Uint8Array },
): Examined {
  const verdict = verifyIdevidProof(proof, { publicKey, subject, attestationKey: undefined });
  if (verdict.kind === 'refused') return verdict;
  const beside = [
    { spki: signing, usage: 'digitalSignature' },
    { spki: agreement, usage: 'keyAgreement' },
  ] as const;
  return { kind: 'genuine', spki: encodeSpki(publicKey), rootSha256: digestOf(signing), beside, inVerifiedTpm: false };
}

async function madeSigner(place: IdevidPlace): Promise<Signer> {
  const signer = await idevidSigner(place, { make: true });
  if (signer === undefined) throw new TypeError('the new key cannot be found');
  return signer;
}

// The device's own keys are made on the line as well: the manifest names its root of trust.
async function tokenKeys(place: IdevidPlace) {
  await using session = await TokenSession.open({ ...place, keyLabels: defaultKeyLabels });
  const { signing, agreement } = session.publicKeys;
  return { signing: encodeSpki(signing), agreement: encodeSpki(agreement) };
}

function digestOf(spki: Uint8Array): string {
  return createHash('sha256').update(spki).digest('hex');
}

function refused(code: string, message: string): Refusal {
  return { kind: 'refused', code, message };
}
