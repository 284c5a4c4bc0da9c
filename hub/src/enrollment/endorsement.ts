// A TPM's endorsement certificate at enrollment: a path to a maker that the hub trusts, by its store of makers' roots or by an enrollment
// group, and a public area with exactly the certified key. The check is in core; `edgekeep doctor` runs the same one.
import { parseBase64url } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate } from '@edgekeep/core/identity/certificate';
import { CoreError } from '@edgekeep/core/error';
import { appraiseEndorsement } from '@edgekeep/core/identity/endorsement-appraisal';
import type { EndorsementTime } from '@edgekeep/core/identity/endorsement';
import { parsePublic, publicKeyOf as publicKeyOfArea, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity } from '@edgekeep/wire/api/device';
import type { Kysely } from 'kysely';
import { sha256Hex } from '@edgekeep/core/digest';
import { HubError } from '../common/error.ts';
import { endorsementAnchors } from './match.ts';
import type { Tables } from '../store/schema.ts';
import type { MakerEvidence } from '../vendor-root/device-makers.ts';
import { type MakerTrust, reachableFrom, withAnchors } from '../vendor-root/vendor-roots.ts';

export interface ProvenEndorsement {
  readonly publicArea: TpmPublic;
  /** SHA-256 of the SPKI of every authority on the path, nearest first. */
  readonly authorities: readonly string[];
  /** The groups without which the path would not exist. */
  readonly anchorGroups: readonly string[];
  readonly makersWord: MakerEvidence;
}

/** Throws `enrollment-refused` unless the key is in a TPM of a known maker. */
export async function proveEndorsement(
  db: Kysely<Tables>,
  identity: Extract<DeviceIdentity, { kind: 'tpm' }>,
  {
    trust,
    judgedAt,
    nowMs,
  }: { readonly trust: MakerTrust; readonly judgedAt: EndorsementTime; readonly nowMs: number },
): Promise<ProvenEndorsement> {
  const certificates = identity.endorsementCertificates.map((text) => parseBase64url(text, 'endorsementCertificates'));
  const publicArea = parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey'));
  const ofGroups = await endorsementAnchors(db, reachableFrom(readable(certificates), trust));
  const verdict = appraiseEndorsement({
    certificates,
    anchors: withAnchors(trust, ofGroups),
    intermediates: trust.intermediates,
    judgedAt,
    nowSeconds: Math.floor(nowMs / 1_000),
    key: publicKeyOfArea(publicArea),
  });
  if (verdict.kind === 'refused') {
    const message = 'the endorsement certificate is not one of a known TPM maker: run `edgekeep doctor` on the device';
    throw new HubError('enrollment-refused', message, { reasons: verdict.reasons });
  }
  const { chain, judgedAtSeconds, notes, tpm } = verdict;
  const anchorGroups = ofGroups.filter(({ certificate }) => chain.at(-1) === certificate).map(({ group }) => group);
  const judged = { judgedAtMs: judgedAtSeconds * 1_000, notes };
  return {
    publicArea,
    authorities: chain.slice(1).map(({ spki }) => sha256Hex(spki)),
    anchorGroups,
    makersWord: { kind: 'tpm', maker: tpm.manufacturer, chain, anchorGroups, ...judged },
  };
}

// Which groups to load; a certificate that cannot be read is refused by the appraisal, by name.
function readable(certificates: readonly Uint8Array[]): readonly Certificate[] {
  return certificates.flatMap((der) => {
    try {
      return [parseForeignCertificate(der)];
    } catch (error) {
      if (!(error instanceof CoreError)) throw error;
      return [];
    }
  });
}
