// A TPM's endorsement certificate at enrolment: a path to a vendor the hub trusts, by its own folder of vendor roots or by an enrolment group,
// and a public area of the very key that was certified.
import { parseBase64url } from '@edgekeep/core/bytes';
import { type Certificate, parseForeignCertificate, publicKeyOf } from '@edgekeep/core/identity/certificate';
import { equalNames } from '@edgekeep/core/identity/distinguished-name';
import { validateEndorsement } from '@edgekeep/core/identity/endorsement';
import { parsePublic, publicKeyOf as publicKeyOfArea, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity } from '@edgekeep/wire/device-api';
import type { Kysely } from 'kysely';
import { sha256Hex } from '../digest.ts';
import { HubError } from '../error.ts';
import { endorsementAnchors } from './match.ts';
import type { Tables } from '../store/schema.ts';

export interface ProvenEndorsement {
  readonly publicArea: TpmPublic;
  /** SHA-256 of the SPKI of every authority on the path, the nearest first. */
  readonly authorities: readonly string[];
  /** The groups without which there would be no path. */
  readonly anchorGroups: readonly string[];
}

/** Throws `enrolment-refused` unless the key that was sent is in a TPM of a known vendor. */
export async function proveEndorsement(
  db: Kysely<Tables>,
  identity: Extract<DeviceIdentity, { kind: 'tpm' }>,
  vendorRoots: readonly Certificate[],
  nowMs: number,
): Promise<ProvenEndorsement> {
  const [leaf, ...sent] = identity.endorsementCertificates.map((text) =>
    parseForeignCertificate(parseBase64url(text, 'endorsementCertificates')),
  );
  if (leaf === undefined) throw refused('endorsement-certificate-missing', 'the TPM has no endorsement certificate');
  // Operators may put a vendor's intermediate certificates beside its roots: only self-issued ones are anchors.
  const own = vendorRoots.filter((root) => equalNames(root.issuer, root.subject));
  const known = vendorRoots.filter((root) => !equalNames(root.issuer, root.subject));
  const ofGroups = await endorsementAnchors(db, [leaf, ...sent, ...known]);
  const anchors = [...own, ...ofGroups.map(({ certificate }) => certificate)];
  const verdict = validateEndorsement({
    leaf,
    intermediates: sent,
    known,
    anchors,
    atSeconds: Math.floor(nowMs / 1_000),
  });
  if (verdict.kind === 'refused') {
    const reasons = verdict.reasons.map((message) => ({ code: 'endorsement-refused', message }));
    throw new HubError('enrolment-refused', 'the endorsement certificate is not one of a known TPM vendor', {
      reasons,
    });
  }
  const publicArea = parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey'));
  if (!publicKeyOfArea(publicArea).equals(publicKeyOf(leaf))) {
    throw refused('endorsement-key-differs', 'the endorsement certificate is of another key than the one sent');
  }
  const { chain } = verdict;
  return {
    publicArea,
    authorities: chain.slice(1).map(({ spki }) => sha256Hex(spki)),
    anchorGroups: ofGroups.filter(({ certificate }) => chain.at(-1) === certificate).map(({ group }) => group),
  };
}

function refused(code: string, message: string): HubError {
  return new HubError('enrolment-refused', message, { reasons: [{ code, message }] });
}
