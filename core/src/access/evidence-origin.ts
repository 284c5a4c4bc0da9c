// Who made the hardware that signed evidence: a path from the certificate in a long receipt to a maker's root that the verifier trusts
// (spec/receipt.md, step 6). Judged at the time of the release, so that the answer stays the same when certificates end.
import type { DiceTrust } from '../attest/dice/chain.ts';
import type { Evidence } from '../attest/evidence.ts';
import { type AttestationKey, attestationKeyOf } from '../attest/quote.ts';
import { sha256Hex } from '../digest.ts';
import { parseForeignCertificate, publicKeyOf } from '../identity/certificate.ts';
import { asIndex, type Certificates, indexCertificates } from '../identity/certificate-index.ts';
import { appraiseEndorsement } from '../identity/endorsement-appraisal.ts';
import type { TpmIdentity } from '../identity/endorsement.ts';
import { nameText } from '../identity/distinguished-name.ts';
import { parseSpki } from '../identity/public-key.ts';
import { parsePublic } from '../tpm/public-area.ts';
import type { EvidenceOrigin } from './release-evidence.ts';

/** Makers' certificates by what they certify. */
export interface MakerRoots {
  readonly tpm: { readonly anchors: Certificates; readonly intermediates: Certificates };
  readonly dice: DiceTrust;
}

export type OriginVerdict =
  | {
      readonly kind: 'verified';
      readonly key: AttestationKey;
      /** For evidence of DICE: the trust that its chain is verified with. */
      readonly dice?: { readonly trust: DiceTrust; readonly atSeconds: number };
      /** Undefined where no maker certifies the tier. */
      readonly maker:
        | {
            readonly root: string;
            readonly tpm?: TpmIdentity;
            /** SHA-256 of the certificates above the device's own, hex; undefined where they are in the evidence. */
            readonly authorities?: readonly string[];
          }
        | undefined;
      readonly notes: readonly string[];
    }
  /** No makers' roots were given. */
  | { readonly kind: 'not-asked'; readonly key: AttestationKey }
  | { readonly kind: 'refused'; readonly reasons: readonly string[] };

export function verifyOrigin(
  origin: EvidenceOrigin,
  evidence: Evidence,
  makers: MakerRoots | undefined,
  atSeconds: number,
): OriginVerdict {
  switch (origin.kind) {
    case 'software': {
      const key = { publicKey: parseSpki(origin.signingKey) };
      return { kind: 'verified', key, maker: undefined, notes: ['no maker certifies this key'] };
    }
    case 'tpm': {
      const key = attestationKeyOf(parsePublic(origin.attestationKey), 'endorsement');
      if (makers === undefined) return { kind: 'not-asked', key };
      const verdict = appraiseEndorsement({
        certificates: origin.certificates,
        ...makers.tpm,
        judgedAt: 'issuance',
        nowSeconds: atSeconds,
      });
      if (verdict.kind === 'refused')
        return { kind: 'refused', reasons: verdict.reasons.map(({ message }) => message) };
      const { chain, tpm, notes } = verdict;
      const root = chain.at(-1);
      const authorities = chain.slice(1).map(({ der }) => sha256Hex(der));
      return {
        kind: 'verified',
        key,
        maker: { root: root === undefined ? '' : nameText(root.subject), tpm, authorities },
        notes,
      };
    }
    case 'dice':
      return verifyDiceOrigin(origin, evidence, makers, atSeconds);
  }
}

/** The chain in the evidence is verified with the evidence; it needs the roots. */
function verifyDiceOrigin(
  { certificates: [first, ...above] }: Extract<EvidenceOrigin, { kind: 'dice' }>,
  evidence: Evidence,
  makers: MakerRoots | undefined,
  atSeconds: number,
): OriginVerdict {
  if (makers === undefined || first === undefined || evidence.kind !== 'dice') {
    return { kind: 'refused', reasons: ['the chain of a DICE device is verified with its maker’s roots: give them'] };
  }
  const deviceId = parseForeignCertificate(first, 'the DeviceID certificate');
  const { anchors, intermediates } = makers.dice;
  const known = indexCertificates([
    ...asIndex(intermediates).certificates,
    ...above.map((der) => parseForeignCertificate(der, 'a certificate above the DeviceID')),
  ]);
  const trust = { anchors, intermediates: known };
  return {
    kind: 'verified',
    key: { publicKey: publicKeyOf(deviceId) },
    dice: { trust, atSeconds },
    maker: { root: nameText(deviceId.issuer) },
    notes: [],
  };
}
