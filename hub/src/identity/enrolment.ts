// Onboarding: a device proves its root of trust, then gets an identity here. A TPM proves that its endorsement key comes from a known
// vendor (certificate path), that the attestation key lives beside it (credential activation), and that the operational key was made
// on this device (quote over nonce and key). Any other device shows a one-time token and signs with its own key: its tier says so, and
// that a key is in a secure element is what whoever made the token vouches for.
import { createHash, randomBytes } from 'node:crypto';
import type { Evidence } from '@edgekeep/core/attest/evidence';
import { qualifyingData } from '@edgekeep/core/attest/qualifying-data';
import { parseVerifierKey, type VerifierKey } from '@edgekeep/core/audit/note';
import { equalBytes, parseBase64url, toBase64url, toHex } from '@edgekeep/core/bytes';
import {
  type Certificate,
  certificateDigest,
  parseCertificate,
  publicKeyOf as publicKeyOfCertificate,
  serialText,
} from '@edgekeep/core/identity/certificate';
import { equalNames } from '@edgekeep/core/identity/distinguished-name';
import { validateEndorsement } from '@edgekeep/core/identity/endorsement';
import { encodeSpki, parseSpki } from '@edgekeep/core/identity/public-key';
import { parseCertificateRequest } from '@edgekeep/core/identity/request';
import { makeCredential } from '@edgekeep/core/tpm/credential';
import { parsePublic, publicKeyOf as publicKeyOfArea, tpmName, type TpmPublic } from '@edgekeep/core/tpm/public-area';
import type { DeviceIdentity } from '@edgekeep/wire/device-api';
import { wrapTargetOf } from '../access/wrap.ts';
import { type Appraiser, isAuthentic, recordAppraisal } from '../attest/appraiser.ts';
import { appendEntry } from '../audit/append.ts';
import type { Authorities } from '../authority/authorities.ts';
import { HubError } from '../error.ts';
import { isExpected } from '../registry/admission.ts';
import { recordChange } from '../registry/history.ts';
import type { HubSettings } from '../settings.ts';
import type { Database, WriteTransaction } from '../store/database.ts';
import type { DeviceRow } from '../store/schema.ts';
import { issueDeviceCertificate, recordCertificate } from './authority.ts';
import { findEnrolmentToken, spendEnrolmentToken } from './enrolment-token.ts';
import { findDevice } from '../registry/states.ts';
import { attestationKeyFor } from './root-keys.ts';

const credentialSecretLength = 32;

/** What the hub keeps on the connection between the two steps. */
export interface PendingEnrolment {
  readonly deviceId: string;
  readonly identity: DeviceIdentity;
  readonly rootSha256: string;
  readonly tokenSha256: string | undefined;
  /** What only the TPM with both keys can read; undefined for a device without a TPM. */
  readonly credentialSecret: Uint8Array | undefined;
}

export interface EnrolmentParts {
  readonly database: Database;
  readonly authorities: Authorities;
  readonly settings: HubSettings;
  readonly vendorRoots: readonly Certificate[];
  readonly appraiser: Appraiser;
}

export interface EnrolmentStart {
  readonly pending: PendingEnrolment;
  readonly credential: { readonly blob: string; readonly encryptedSecret: string } | undefined;
}

/** Step one: checks who may enrol and makes the credential challenge. */
export async function startEnrolment(
  parts: EnrolmentParts,
  request: { deviceId: string; token?: string | undefined; identity: DeviceIdentity; nowMs: number },
): Promise<EnrolmentStart> {
  const { database, settings } = parts;
  const { deviceId, identity, nowMs } = request;
  const rootSha256 = rootDigestOf(identity);
  await assertFree(database, deviceId, rootSha256);
  const expected = await isExpected(database.read, { deviceId, rootSha256 });
  const tokenAsked = settings.enrolment.requireToken && !expected;
  const needsToken = identity.kind !== 'tpm' || tokenAsked || request.token !== undefined;
  const token = needsToken
    ? await findEnrolmentToken(database.read, request.token, { deviceId, tier: identity.kind, nowMs })
    : undefined;
  const common = { deviceId, identity, rootSha256, tokenSha256: token?.sha256 };
  if (identity.kind !== 'tpm') {
    // Nothing a device sends shows where its key is: a token for any tier must not let a key in a file pass for hardware.
    if (identity.kind === 'secure-element' && token?.tier !== 'secure-element') {
      throw refused(
        'tier-not-vouched',
        'a secure element needs an enrolment token made for that tier: `edgekeep enroll token --tier secure-element`',
      );
    }
    attestationKeyFor(identity);
    wrapTargetOf(identity);
    return { pending: { ...common, credentialSecret: undefined }, credential: undefined };
  }
  const endorsementPublic = provenEndorsementKey(identity, parts.vendorRoots, nowMs);
  const attestationPublic = parsePublic(parseBase64url(identity.attestationKey, 'attestationKey'));
  attestationKeyFor(identity);
  const credentialSecret = randomBytes(credentialSecretLength);
  const credential = makeCredential({
    endorsementPublic,
    name: tpmName(attestationPublic),
    secret: credentialSecret,
    randomBytes,
  });
  return {
    pending: { ...common, credentialSecret },
    credential: {
      blob: toBase64url(credential.credentialBlob),
      encryptedSecret: toBase64url(credential.encryptedSecret),
    },
  };
}

/** Step two: checks the proofs, registers the device and issues its operational certificate. */
export async function completeEnrolment(
  parts: EnrolmentParts,
  pending: PendingEnrolment,
  proof: {
    credentialSecret: Uint8Array | undefined;
    certificateRequest: Uint8Array;
    evidence: Evidence;
    witnessKey: string;
    nonce: Uint8Array;
    nowMs: number;
  },
): Promise<Certificate> {
  const { database, authorities, settings, appraiser } = parts;
  const { deviceId, identity, rootSha256, tokenSha256 } = pending;
  if (pending.credentialSecret !== undefined) {
    const answer = proof.credentialSecret ?? new Uint8Array(0);
    if (!equalBytes(answer, pending.credentialSecret)) {
      throw refused(
        'credential-not-activated',
        'the credential was not opened: the attestation key is not in the TPM of this endorsement key',
      );
    }
  }
  const witness = parseVerifierKey(proof.witnessKey);
  if (witness.type !== 'cosignature-v1')
    throw refused('witness-key-invalid', 'the witness key must be a cosignature/v1 verifier key');
  const { spki } = parseCertificateRequest(proof.certificateRequest);
  const row: DeviceRow = {
    id: deviceId,
    tier: identity.kind,
    state: 'registered',
    state_reason: 'enrolled',
    identity: JSON.stringify(identity),
    root_sha256: rootSha256,
    witness_key: proof.witnessKey,
    enrolled_at: proof.nowMs,
    seen_at: proof.nowMs,
    reset_count: -1,
    appraisal: null,
    appraised_at: null,
    counts: null,
  };
  const expected = {
    qualifyingData: qualifyingData('certify', proof.nonce, spki),
    nonce: proof.nonce,
    nowMs: proof.nowMs,
  };
  const { appraisal } = await appraiser.appraise(row, proof.evidence, expected);
  // The boot need not be healthy to register; it must be this device's own, fresh, and about this key.
  if (!isAuthentic(appraisal)) {
    throw new HubError('enrolment-refused', 'the evidence does not prove the operational key', {
      reasons: appraisal.reasons,
    });
  }
  const order = {
    deviceId,
    spki,
    nowMs: proof.nowMs,
    lifeSeconds: settings.certificateSeconds,
    publicUrl: settings.publicUrl,
  };
  const certificate = await issueDeviceCertificate(authorities, order);
  await database.write(async (trx) => {
    await assertFree({ read: trx }, deviceId, rootSha256);
    const imported = await isExpected(trx, pending);
    // An import may have taken back meanwhile what made a token unnecessary.
    if (tokenSha256 === undefined && settings.enrolment.requireToken && !imported)
      throw refused('not-expected', `${deviceId} is no longer expected: enrol it with a token`);
    await assertWitnessFree(trx, witness, proof.witnessKey);
    if (tokenSha256 !== undefined) await spendEnrolmentToken(trx, tokenSha256, deviceId);
    await trx.insertInto('device').values(row).execute();
    await recordCertificate(trx, certificate, deviceId);
    const byProof = imported ? 'allow-list' : 'vendor-root';
    const actor = tokenSha256 === undefined ? byProof : `token ${tokenSha256.slice(0, 16)}`;
    const logIndex = await appendEntry(trx, {
      at: proof.nowMs,
      kind: 'device-enrolled',
      actor,
      subject: `device:${deviceId}`,
      data: {
        tier: identity.kind,
        rootSha256,
        witnessKey: proof.witnessKey,
        certificate: toHex(certificateDigest(certificate)),
        serial: serialText(certificate),
      },
    });
    const birth = { from: 'none', to: row.state, reason: row.state_reason, actor };
    await recordChange(trx, { deviceId, logIndex, at: proof.nowMs, ...birth });
    await recordAppraisal(trx, deviceId, appraisal, proof.nowMs);
  });
  return certificate;
}

// A certificate says "this key is in a genuine TPM"; the public area beside it must be of that very key.
function provenEndorsementKey(
  identity: Extract<DeviceIdentity, { kind: 'tpm' }>,
  vendorRoots: readonly Certificate[],
  nowMs: number,
): TpmPublic {
  const [leaf, ...sent] = identity.endorsementCertificates.map((text) =>
    parseCertificate(parseBase64url(text, 'endorsementCertificates')),
  );
  if (leaf === undefined) throw refused('endorsement-certificate-missing', 'the TPM has no endorsement certificate');
  // Operators may put a vendor's intermediate certificates beside its roots: only self-issued ones are anchors.
  const anchors = vendorRoots.filter((root) => equalNames(root.issuer, root.subject));
  const intermediates = [...sent, ...vendorRoots.filter((root) => !equalNames(root.issuer, root.subject))];
  const verdict = validateEndorsement({ leaf, intermediates, anchors, atSeconds: Math.floor(nowMs / 1_000) });
  if (verdict.kind === 'refused') {
    const reasons = verdict.reasons.map((message) => ({ code: 'endorsement-refused', message }));
    throw new HubError('enrolment-refused', 'the endorsement certificate is not one of a known TPM vendor', {
      reasons,
    });
  }
  const publicArea = parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey'));
  if (!publicKeyOfArea(publicArea).equals(publicKeyOfCertificate(leaf))) {
    throw refused('endorsement-key-differs', 'the endorsement certificate is of another key than the one sent');
  }
  return publicArea;
}

// Over the key alone: a public area has attributes around it that nothing proves, and one TPM must not become two devices by other ones.
function rootDigestOf(identity: DeviceIdentity): string {
  const key =
    identity.kind === 'tpm'
      ? publicKeyOfArea(parsePublic(parseBase64url(identity.endorsementKey, 'endorsementKey')))
      : parseSpki(parseBase64url(identity.signingKey, 'signingKey'));
  return toHex(createHash('sha256').update(encodeSpki(key)).digest());
}

async function assertFree(db: Pick<Database, 'read'>, deviceId: string, rootSha256: string): Promise<void> {
  if ((await findDevice(db.read, deviceId)) !== undefined)
    throw refused('device-id-taken', `${deviceId} is enrolled already`);
  const other = await db.read
    .selectFrom('device')
    .select('id')
    .where('root_sha256', '=', rootSha256)
    .executeTakeFirst();
  if (other !== undefined)
    throw refused('root-of-trust-taken', `this root of trust is enrolled already, as ${other.id}`);
}

// One key must not vouch as two devices: whoever reads the trust file, and with it every receipt, would refuse it. The key is what follows
// name and identifier in a verifier key's text.
async function assertWitnessFree(trx: WriteTransaction, { name, id }: VerifierKey, text: string): Promise<void> {
  const other = await trx
    .selectFrom('device')
    .select('id')
    .where('witness_key', 'like', `%${text.slice(`${name}+${id}`.length)}`)
    .executeTakeFirst();
  if (other !== undefined) throw refused('witness-key-taken', `this witness key is the one of ${other.id}`);
}

function refused(code: string, message: string): HubError {
  return new HubError('enrolment-refused', message, { reasons: [{ code, message }] });
}
